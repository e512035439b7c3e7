// `node migrate.js` with DATABASE_URL: everything in one transaction.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { Client } = require("pg");

const client = new Client({ connectionString: process.env.DATABASE_URL });
client
  .connect()
  .then(() => client.query(fs.readFileSync(path.join(__dirname, "schema.sql"), "utf8")))
  .then(() => client.end())
  .catch((why) => {
    console.error("the schema does not apply:", why.message);
    process.exit(1);
  });
