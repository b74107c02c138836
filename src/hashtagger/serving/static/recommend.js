// Photo uploads and the chips of their tags, also on the history page.
"use strict";

const cards = document.getElementById("cards");
const drop = document.getElementById("drop");
const AT_ONCE = 3;
const waiting = [];
let underWay = 0;

function take(files) {
  const vocabulary = new FormData(drop).get("vocabulary");
  for (const file of files) {
    const card = document.getElementById("card").content.cloneNode(true).firstElementChild;
    const preview = picture("preview", URL.createObjectURL(file), file.name);
    card.querySelector(".photo").append(preview);
    card.querySelector(".name").textContent = file.name;
    // If the browser cannot show this format, the server's JPEG replaces the preview later.
    preview.addEventListener("error", () => { preview.hidden = true; }, { once: true });
    cards.prepend(card);
    const looking = card.querySelector(".waiting"), again = card.querySelector(".again");
    again.addEventListener("click", () => {
      again.hidden = true;
      card.classList.remove("failed");
      card.querySelector(".answer").replaceChildren(looking);
      card.querySelector(".answer").setAttribute("aria-busy", "true");
      waiting.push({ file, card, vocabulary });
      next();
    });
    waiting.push({ file, card, vocabulary });
  }
  next();
}

function picture(className, src, alt) {
  return Object.assign(new Image(), { className, src, alt });
}

function next() {
  while (underWay < AT_ONCE && waiting.length) {
    underWay++;
    ask(waiting.shift()).finally(() => { underWay--; next(); });
  }
}

async function ask({ file, card, vocabulary }) {
  const answer = card.querySelector(".answer");
  try {
    if (file.size > Number(drop.dataset.mostBytes)) throw new Error(drop.dataset.tooLarge);
    const form = new FormData();
    form.append("vocabulary", vocabulary);
    form.append("file", file);
    answer.innerHTML = await (await send("/recommend", { method: "POST", body: form })).text();
    answer.querySelectorAll(".map").forEach(drawMap);
    address();
    const preview = card.querySelector(".preview");
    if (preview.hidden || !preview.naturalWidth) {
      preview.src = answer.querySelector(".result").dataset.photo;
      preview.hidden = false;
    }
  } catch (error) {
    const line = document.createElement("p");
    line.className = "error";
    line.textContent = `${file.name}: ${why(error)}`;
    answer.replaceChildren(line);
    card.classList.add("failed");
    card.querySelector(".again").hidden = !(error instanceof TypeError || error.status >= 500);
  }
  answer.removeAttribute("aria-busy");
}

function address() {
  const query = new URLSearchParams(new FormData(drop));
  for (const result of [...cards.querySelectorAll(".result")].slice(0, cards.dataset.most)) query.append("entry", result.dataset.entry);
  here(`/?${query}`);
}

const chosen = result => [...new Set([...result.querySelectorAll(".chip[aria-pressed=true]")].map(chip => chip.dataset.tag))];

function toggle(chip) {
  const result = chip.closest(".result");
  const on = chip.getAttribute("aria-pressed") !== "true";
  if (on && chosen(result).length >= Number(result.dataset.most)) {
    toast(result.dataset.tooMany, true);
    return;
  }
  for (const same of result.querySelectorAll(".chip[aria-pressed]")) {
    if (same.dataset.tag === chip.dataset.tag) same.setAttribute("aria-pressed", String(on));
  }
  for (const group of result.querySelectorAll(".related")) {
    if (group.dataset.of === chip.dataset.tag) group.hidden = !on && !group.querySelector("[aria-pressed=true]");
  }
  result.querySelector(".count").textContent = chosen(result).length;
  result.querySelector(".copy").disabled = !chosen(result).length;
  remember(result);
}

function remember(result) {
  clearTimeout(result.saving);
  result.saving = setTimeout(() => save(result), 250);
}

function save(result) {
  clearTimeout(result.saving);
  result.saving = 0;
  send(`/history/${result.dataset.entry}/chosen`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(chosen(result)),
    keepalive: true,
  }).catch(error => toast(why(error), true));
}

// On leaving the page, save pending choices, and warn if photos are still waiting for an answer.
addEventListener("pagehide", () => [...document.querySelectorAll(".result")].filter(result => result.saving).forEach(save));
addEventListener("beforeunload", event => { if (underWay || waiting.length) event.preventDefault(); });

function heat(chip, shown) {
  const photo = chip.closest(".card").querySelector(".photo");
  photo.querySelector(".heat")?.remove();
  if (shown) photo.append(picture("heat", chip.dataset.heat, ""));
}

document.addEventListener("click", async event => {
  const chip = event.target.closest("button.chip[aria-pressed]");
  if (chip) toggle(chip);
  // Touch has no hover: a tap on ◎, or on a chip that does not toggle, shows the heat map; a tap elsewhere hides it.
  const hot = event.target.closest("[data-heat]:not([aria-pressed])");
  document.querySelectorAll(".heat").forEach(layer => {
    if (layer.closest(".card") !== (hot || chip)?.closest(".card")) layer.remove();
  });
  if (hot) heat(hot, true);
  const copy = event.target.closest(".copy");
  if (copy) {
    const result = copy.closest(".result");
    const text = copy.dataset.text || chosen(result).map(tag => `#${tag}`).join(" ");
    try {
      await copyText(text);
      toast(`${copy.dataset.done} ${text}`);
    } catch (error) {
      toast(why(error), true);
    }
  }
});
for (const [kind, shown] of [["pointerover", true], ["focusin", true], ["pointerout", false], ["focusout", false]]) {
  document.addEventListener(kind, event => {
    const chip = event.target.closest && event.target.closest("[data-heat]");
    const touched = event.pointerType === "touch" || kind === "focusin" && !event.target.matches?.(":focus-visible");
    if (chip && !touched) heat(chip, shown);
  });
}

if (drop) {
  drop.addEventListener("change", address);
  cards.querySelectorAll(".map").forEach(drawMap);
  for (const id of ["choose", "camera"]) {
    document.getElementById(id).addEventListener("change", event => { take(event.target.files); event.target.value = ""; });
  }
  document.addEventListener("paste", event => {
    const files = [...event.clipboardData.files];
    if (files.length) { event.preventDefault(); take(files); }
  });
  document.addEventListener("dragover", event => { event.preventDefault(); drop.classList.add("over"); });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", event => {
    event.preventDefault();
    drop.classList.remove("over");
    const dropped = [...event.dataTransfer.items].filter(item => item.kind === "file");
    const files = dropped.filter(item => !item.webkitGetAsEntry()?.isDirectory).map(item => item.getAsFile());
    if (files.length < dropped.length) toast(drop.dataset.folder, true);
    take(files);
  });
}
