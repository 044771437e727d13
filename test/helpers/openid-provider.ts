/** An OpenID Connect provider on loopback that signs in every user with the claims of the test. */
import { OAuth2Server } from 'oauth2-mock-server';

export interface TestProvider extends AsyncDisposable {
  url: string;
  /** The claims for the next sign-in. */
  claims: Record<string, unknown>;
  /** The answer of the userinfo endpoint. */
  userinfo: Record<string, unknown>;
}

/** Starts a provider on `port`; 0: a free port. */
export async function startProvider(port = 0): Promise<TestProvider> {
  const server = new OAuth2Server();
  await server.issuer.keys.generate('RS256');
  await server.start(port, '127.0.0.1');
  const url = `http://127.0.0.1:${server.address().port}`;
  server.issuer.url = url;
  const provider: TestProvider = { url, claims: {}, userinfo: {}, [Symbol.asyncDispose]: () => server.stop() };
  server.service.on('beforeTokenSigning', (token) => void Object.assign(token.payload, provider.claims));
  server.service.on('beforeUserinfo', (answer) => {
    answer.body = provider.userinfo;
  });
  return provider;
}
