"use strict";
// The values of the bands under the pointer.
for (const figure of document.querySelectorAll("figure[data-hover]")) {
  const band = JSON.parse(figure.dataset.hover);
  const image = figure.querySelector("img");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  figure.append(tip);
  const points = (value) => (100 * value).toFixed(1);
  image.addEventListener("pointermove", (event) => {
    const box = image.getBoundingClientRect();
    const along = (event.clientX - box.left) / box.width;
    const part = (along - band.left) / (band.right - band.left);
    tip.hidden = part < 0 || part > 1;
    if (tip.hidden) return;
    const i = Math.round(part * (band.flops.length - 1));
    tip.textContent = `${band.flops[i].toExponential(1)} FLOPs: score ${points(band.low[i])} to ` +
      `${points(band.high[i])} (90%), median ${points(band.median[i])}; curve ` +
      `${points(band.curve_low[i])} to ${points(band.curve_high[i])} points`;
    const left = Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth);
    tip.style.left = `${Math.max(0, left)}px`;
  });
  image.addEventListener("pointerleave", () => { tip.hidden = true; });
}
// A printed page has nothing folded away.
window.addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
