// Validates a definition with npm's swagger-parser: node swagger_parser.mjs NODE_MODULES FILE
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, file] = process.argv.slice(2);
const entry = createRequire(`${modules}/`).resolve('@apidevtools/swagger-parser');
const { default: SwaggerParser } = await import(pathToFileURL(entry));
try {
  const api = await SwaggerParser.validate(file);
  console.log(JSON.stringify({ title: api.info.title, paths: Object.keys(api.paths) }));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
