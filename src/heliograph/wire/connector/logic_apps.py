"""The Bicep template that makes the connector in Azure Logic Apps.

There are no policies there, so the host stands in each deployment: in `serviceUrl` and in the definition.
"""

from heliograph.wire.connector.targets import Target

_TEMPLATE = """\
// {title} as a custom connector of Azure Logic Apps (Consumption). Deploy it from this folder:
//   az deployment group create --resource-group <group> --template-file logic-apps.bicep{argument}

@description('Name of the connector in its resource group.')
@maxLength(80)
param name string = '{name}'

@description('Region; that of the Logic Apps which use the connector.')
param location string = resourceGroup().location

@description('Host of the service, with its port where that is not 443; without https:// or a path.')
@minLength(1)
param host string{host_default}

@description('Where the icon is.')
param iconUri string = 'data:image/png;base64,${{loadFileAsBase64('icon.png')}}'

var definition = loadJsonContent('apiDefinition.swagger.json')

resource connector 'Microsoft.Web/customApis@2016-06-01' = {{
  name: name
  location: location
  properties: {{
    apiType: 'Rest'
    displayName: definition.info.title
    description: definition.info.description
    iconUri: iconUri
    brandColor: '{brand_colour}'
    capabilities: []
    connectionParameters: {{
      username: {{
        type: 'securestring'
      }}
      password: {{
        type: 'securestring'
      }}
    }}
    backendService: {{
      serviceUrl: 'https://${{host}}${{definition.basePath}}'
    }}
    swagger: union(definition, {{ host: host }})
  }}
}}

output connectorId string = connector.id
"""


def bicep(target: Target, host: str) -> str:
    """The template. host: its default, unless it is only a placeholder."""
    given = not (target.asks_for_host and host == target.host)
    return _TEMPLATE.format(
        title=target.title,
        name=target.title.lower().replace(" ", "-"),
        brand_colour=target.brand_colour,
        argument="" if given else " \\\n//     --parameters host=<your gateway>",
        host_default=f" = '{host}'" if given else "",
    )
