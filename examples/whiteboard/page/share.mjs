// The addresses that are given to others.

/** @param {{ edit: HTMLInputElement, view: HTMLInputElement }} fields @param {string} address @param {import("./toasts.mjs").Toasts} toasts */
export function prepareSharing(fields, address, toasts) {
  fields.edit.value = new URL(address, location).href;
  fields.view.value = new URL(`${address}/view`, location).href;
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
        toasts.show("The address is copied.");
      } catch {
        // It is selected: the user can copy it.
        toasts.show("The address is selected: copy it with the keyboard.");
      }
    });
  }
}
