// Keeps the page for use without a network, and isolates it, as SharedArrayBuffer needs: a static
// host cannot set these headers everywhere.

const CACHE = "packctl-@VERSION@";
const FILES = "@FILES@".split(" ");

self.addEventListener("install", event => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(FILES)));
});

self.addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("fetch", event => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== location.origin) return;
  event.respondWith((async () => {
    const found = await caches.match(event.request, {ignoreSearch: true}) ?? await fetch(event.request);
    const headers = new Headers(found.headers);
    headers.set("Cross-Origin-Opener-Policy", "same-origin");
    headers.set("Cross-Origin-Embedder-Policy", "require-corp");
    return new Response(found.body, {status: found.status, statusText: found.statusText, headers});
  })());
});
