// <picture-boxes>: a picture with the places of what was found in it. Whatever has `data-boxes`
// (ids of places) lights them while it is pointed at or has the focus.

class PictureBoxes extends HTMLElement {
  connectedCallback() {
    for (const box of this.querySelectorAll("[data-place]")) {
      const [left, top, width, height] = box.dataset.place.split(" ");
      Object.assign(box.style, {
        left: `${left}%`,
        top: `${top}%`,
        width: `${width}%`,
        height: `${height}%`,
      });
    }
  }

  light(ids) {
    for (const box of this.querySelectorAll("[data-place]")) box.hidden = !ids.includes(box.id);
  }
}

customElements.define("picture-boxes", PictureBoxes);

function pointedAt(event) {
  const element = event.target.closest?.("[data-boxes], [data-claims]");
  const ids = element?.dataset.boxes?.split(" ") ?? [];
  for (const stage of document.querySelectorAll("picture-boxes")) stage.light(ids);
  const claims = element?.dataset.claims?.split(" ") ?? [];
  for (const claim of document.querySelectorAll(".claim")) {
    claim.classList.toggle("lit", claims.includes(claim.id));
  }
}

document.addEventListener("pointerover", pointedAt);
document.addEventListener("focusin", pointedAt);
