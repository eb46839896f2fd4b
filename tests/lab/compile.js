// Standard JSON in, standard JSON out, with the solc-js of this folder.
const solc = require("solc");
const input = require("fs").readFileSync(0, "utf8");
process.stdout.write(solc.compile(input));
