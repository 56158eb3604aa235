// SMS for Applications as a custom connector of Azure Logic Apps (Consumption). Deploy it from this folder:
//   az deployment group create --resource-group <group> --template-file logic-apps.bicep

@description('Name of the connector in its resource group.')
@maxLength(80)
param name string = 'sms-for-applications'

@description('Region; that of the Logic Apps which use the connector.')
param location string = resourceGroup().location

@description('Host of the service, with its port where that is not 443; without https:// or a path.')
@minLength(1)
param host string = 'sms4a.de2.retarus.com'

@description('Where the icon is.')
param iconUri string = 'data:image/png;base64,${loadFileAsBase64('icon.png')}'

var definition = loadJsonContent('apiDefinition.swagger.json')

resource connector 'Microsoft.Web/customApis@2016-06-01' = {
  name: name
  location: location
  properties: {
    apiType: 'Rest'
    displayName: definition.info.title
    description: definition.info.description
    iconUri: iconUri
    brandColor: '#1d5c63'
    capabilities: []
    connectionParameters: {
      username: {
        type: 'securestring'
      }
      password: {
        type: 'securestring'
      }
    }
    backendService: {
      serviceUrl: 'https://${host}${definition.basePath}'
    }
    swagger: union(definition, { host: host })
  }
}

output connectorId string = connector.id
