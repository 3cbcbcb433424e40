// A real OpenID provider (npm oidc-provider) with one client and three people, for tests.
// Usage: node oidc_provider.mjs FOLDER_WITH_NODE_MODULES REDIRECT_URI
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, redirectUri] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/package.json`));
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const groups = { ada: ["engineers", "everybody"], bob: ["everybody"], eve: [] };
const findAccount = (_, id) => ({
  accountId: id,
  claims: () => ({ sub: id, preferred_username: id, groups: groups[id] ?? [] }),
});

const { createServer } = await import("node:http");
const server = createServer((request, response) => provider.callback()(request, response));
let provider;
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, {
    clients: [{ client_id: "writ", client_secret: "a secret of the client", redirect_uris: [redirectUri] }],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    conformIdTokenClaims: false,
    findAccount,
    pkce: { required: () => true },
    cookies: { keys: ["only for tests"] },
  });
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
