// Serves one PGlite (PostgreSQL as WebAssembly) in memory over TCP:
//   node pglite_server.mjs PORT PGLITE SOCKET [EXTENSION NAME]
// PGLITE, SOCKET and EXTENSION are module files, and NAME is the export of EXTENSION. The server runs until its
// standard input ends.
import { pathToFileURL } from "node:url";

const [port, pglite, socket, extension, name] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(file).href);
const { PGlite } = await load(pglite);
const { PGLiteSocketServer } = await load(socket);
const extensions = extension ? { [name]: (await load(extension))[name] } : {};
const db = await PGlite.create({ extensions });
const server = new PGLiteSocketServer({ db, port: Number(port), host: "127.0.0.1", maxConnections: 20 });
await server.start();
process.stdin.on("end", () => process.exit(0)).resume();
