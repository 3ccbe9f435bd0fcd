// Shows this server's OpenAPI document with Swagger UI. Calls go to the address the page came from, whatever name it has.
(async () => {
  const place = document.querySelector("#reference");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  paint();
  dark.addEventListener("change", paint);

  const address = location.origin + place.dataset.prefix;
  const answer = await fetch(address + "/api/openapi");
  if (!answer.ok) {
    place.textContent = `The OpenAPI document cannot be read now (${answer.status}). Reload the page in a minute.`;
    return;
  }
  const description = await answer.json();
  SwaggerUIBundle({
    spec: { ...description, servers: [{ url: address }] },
    domNode: place,
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: -1,
    displayRequestDuration: true,
    filter: true,
    validatorUrl: null,
  });
})();
