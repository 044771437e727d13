/** Names, reads and sets the cookies of the console. */
import type { FastifyRequest } from 'fastify';

/** Returns the value of a cookie of this request. */
export function cookieValue({ headers }: FastifyRequest, name: string): string | undefined {
  const start = `${name}=`;
  return headers.cookie
    ?.split(/; */)
    .find((pair) => pair.startsWith(start))
    ?.slice(start.length);
}

/** Returns the name of a cookie. The prefix `__Host-` keeps other hosts and plain HTTP from setting it; browsers require Secure for it. */
export function cookieName({ protocol }: FastifyRequest, name: string): string {
  return protocol === 'https' ? `__Host-${name}` : name;
}

/** Returns a Set-Cookie header for a cookie that scripts cannot read. `maxAgeMs` 0 removes the cookie. */
export function setCookie(
  request: FastifyRequest,
  p: { name: string; value: string; maxAgeMs: number; sameSite: 'Strict' | 'Lax' },
): string {
  const secure = request.protocol === 'https' ? '; Secure' : '';
  const maxAge = Math.max(0, Math.ceil(p.maxAgeMs / 1000));
  const name = cookieName(request, p.name);
  return `${name}=${p.value}; Max-Age=${maxAge}; Path=/; HttpOnly; SameSite=${p.sameSite}${secure}`;
}
