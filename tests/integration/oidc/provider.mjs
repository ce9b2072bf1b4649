// An OpenID provider for tests: prints one line of JSON when it listens, obeys one word a line, and
// ends with its standard input.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { Provider } from "oidc-provider";

const settings = JSON.parse(process.argv[2]);

function newKey() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: randomUUID() };
}

function findAccount(_context, id) {
  const claims = settings.accounts[id];
  return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
}

function newProvider(issuer) {
  return new Provider(issuer, {
    clients: settings.clients,
    findAccount,
    jwks: { keys: [newKey()] },
    cookies: { keys: [randomUUID()] },
    scopes: ["openid", "profile", "email", "groups"],
    claims: {
      openid: ["sub"],
      profile: ["name", "preferred_username"],
      email: ["email", "email_verified"],
      groups: ["groups"],
    },
    pkce: { required: () => true },
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, Session: 3600 },
  });
}

let handle;
const server = createServer((request, response) => handle(request, response));
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const renew = () => {
    handle = newProvider(issuer).callback();
  };
  renew();
  createInterface({ input: process.stdin })
    .on("line", () => {
      renew();
      console.log("{}");
    })
    .on("close", () => process.exit(0));
  console.log(JSON.stringify({ issuer }));
});
