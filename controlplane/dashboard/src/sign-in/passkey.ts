// Passkeys between the hub's JSON and the browser's bytes. Nothing here decides anything: the hub
// checks what the authenticator signed.
import { api, plain } from "../api/client.ts";

type Json = Record<string, unknown>;

/** Whether passkeys of this hub can be used at this address; and the name it needs if not. */
export function passkeyPlace(domain: string): { usable: boolean; instead: string | null } {
  const { hostname, port, protocol, pathname } = window.location;
  const fits = hostname === domain || hostname.endsWith(`.${domain}`);
  if (fits) return { usable: window.isSecureContext && "credentials" in navigator, instead: null };
  const local = domain === "localhost" && /^(127\.|\[::1\]$)/.test(hostname);
  const instead = local ? `${protocol}//localhost${port ? `:${port}` : ""}${pathname}` : null;
  return { usable: false, instead };
}

export async function signInWithPasskey(): Promise<void> {
  const begun = await plain.post("/api/v1/login/passkey/begin");
  const options = begun.options as Json;
  const made = await navigator.credentials.get({
    publicKey: {
      ...(options as object),
      challenge: decode(String(options.challenge)),
      allowCredentials: descriptors(options.allowCredentials),
    } as PublicKeyCredentialRequestOptions,
  });
  const credential = made as PublicKeyCredential;
  const response = credential.response as AuthenticatorAssertionResponse;
  await plain.post("/api/v1/login/passkey", {
    body: {
      ceremony: begun.ceremony,
      credential: {
        ...whole(credential),
        response: {
          clientDataJSON: encode(response.clientDataJSON),
          authenticatorData: encode(response.authenticatorData),
          signature: encode(response.signature),
          userHandle: response.userHandle ? encode(response.userHandle) : undefined,
        },
      },
    },
  });
}

export async function addPasskey(name: string): Promise<void> {
  const begun = await api.post("/api/v1/me/passkeys/begin");
  const options = begun.options as Json & { user: Json };
  const made = await navigator.credentials.create({
    publicKey: {
      ...(options as object),
      challenge: decode(String(options.challenge)),
      user: { ...options.user, id: decode(String(options.user.id)) },
      excludeCredentials: descriptors(options.excludeCredentials),
    } as unknown as PublicKeyCredentialCreationOptions,
  });
  const credential = made as PublicKeyCredential;
  const response = credential.response as AuthenticatorAttestationResponse;
  await api.post("/api/v1/me/passkeys", {
    body: {
      ceremony: begun.ceremony,
      name,
      credential: {
        ...whole(credential),
        response: {
          clientDataJSON: encode(response.clientDataJSON),
          attestationObject: encode(response.attestationObject),
          transports: response.getTransports?.() ?? [],
        },
      },
    },
  });
}

/** Whether the person closed the browser's own dialog: nothing went wrong then. */
export function isCancelled(error: unknown): boolean {
  return error instanceof DOMException && /^(NotAllowedError|AbortError)$/.test(error.name);
}

function whole(credential: PublicKeyCredential): Json {
  return {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

function descriptors(given: unknown): PublicKeyCredentialDescriptor[] {
  if (!Array.isArray(given)) return [];
  return given.map((one: Json) => ({ ...one, id: decode(String(one.id)), type: "public-key" }));
}

function decode(text: string): Uint8Array<ArrayBuffer> {
  const plainText = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plainText, (letter) => letter.charCodeAt(0));
}

function encode(bytes: ArrayBuffer): string {
  const text = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
