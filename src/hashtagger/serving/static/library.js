// Uploads into the library, and selecting posts to correct.
"use strict";

const upload = document.getElementById("upload");
const correcting = document.querySelector(".correcting");

const warn = event => event.preventDefault();

// One upload at a time: once it is done, the page is loaded anew.
function busy(sending) {
  for (const input of upload.querySelectorAll("input")) input.disabled = sending;
  if (sending) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
}

// Each file with its path below what was chosen or dropped.
async function sendAll(found) {
  if (!found.length) return;
  const files = found.map(one => one.file), name = found[0].path.split("/")[0];
  const status = document.getElementById("uploading");
  const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
  let sent = 0, number = null;
  busy(true);
  try {
    const form = new FormData();
    form.append("name", name);
    number = (await (await send("/library/uploads", { method: "POST", body: form })).json()).upload;
    for (const [done, { file, path }] of found.entries()) {
      const query = new URLSearchParams({ path, modified: file.lastModified });
      await put(`/library/uploads/${number}/file?${query}`, file, bytes => {
        const percent = Math.floor(100 * (sent + bytes) / total);
        status.textContent = upload.dataset.progress.replace("{done}", done).replace("{n}", files.length).replace("{percent}", percent);
      });
      sent += file.size;
    }
    await send(`/library/uploads/${number}/done`, { method: "POST" });
    busy(false);
    location.assign("/library");
  } catch (error) {
    busy(false);
    status.textContent = "";
    toast(why(error), true);
    if (number) await send(`/library/imports/${number}/dismiss`, { method: "POST" }).catch(() => {});
  }
}

// fetch() tells nothing of what is sent so far.
function put(url, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", event => progress(event.loaded));
    request.addEventListener("load", () => request.status < 300 ? resolve() : reject(new Error(plain(request.responseText))));
    request.addEventListener("error", () => reject(new TypeError("no answer")));
    request.send(file);
  });
}

// All files of a folder that was dropped.
async function filesOf(entry) {
  if (entry.isFile) {
    return [{ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path: entry.fullPath.slice(1) }];
  }
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...await filesOf(one));
  }
}

if (upload) {
  for (const id of ["archives", "photos", "folder"]) {
    document.getElementById(id).addEventListener("change", event => {
      const found = [...event.target.files].map(file => ({ file, path: file.webkitRelativePath || file.name }));
      event.target.value = "";
      sendAll(found);
    });
  }
  document.addEventListener("dragover", event => event.preventDefault());
  document.addEventListener("drop", async event => {
    event.preventDefault();
    if (upload.querySelector("input:disabled")) return;
    // All are asked for at once: nothing is left of the event later.
    const dropped = [...event.dataTransfer.items].filter(item => item.kind === "file").map(item => {
      const entry = item.webkitGetAsEntry(), file = item.getAsFile();
      return entry?.isDirectory ? filesOf(entry) : [{ file, path: file.name }];
    });
    try {
      sendAll((await Promise.all(dropped)).flat());
    } catch (error) {
      toast(why(error), true);
    }
  });
}

// At the side there is room for all months and tags; on a phone they wait to be asked for.
if (matchMedia("(min-width: 55rem)").matches) {
  for (const facet of document.querySelectorAll(".facet")) facet.open = true;
}

if (correcting) {
  const form = document.getElementById("correct");
  const count = () => {
    const selected = [...form.querySelectorAll("input[name=posts]:checked")].map(box => box.value);
    correcting.hidden = !selected.length;
    correcting.querySelector("output").textContent = selected.length;
    history.replaceState({ selected }, "");
  };
  // Who comes back finds selected what was.
  for (const box of form.querySelectorAll("input[name=posts]")) box.checked = !!history.state?.selected?.includes(box.value);
  count();
  form.addEventListener("change", count);
}

// And as many posts as were shown.
document.addEventListener("htmx:afterRequest", event => {
  const { address } = event.detail.requestConfig.elt.dataset;
  if (address && event.detail.successful) history.replaceState(history.state, "", address);
});

document.addEventListener("keydown", event => {
  if (event.target.matches("input, textarea, select, video") || event.altKey || event.ctrlKey || event.metaKey) return;
  const link = { ArrowLeft: "newer", ArrowRight: "older" }[event.key];
  if (link) document.getElementById(link)?.click();
});

// Once the last import is over, its posts are shown.
document.addEventListener("htmx:beforeSwap", event => {
  if (event.detail.target.matches(".import[hx-trigger]") && !event.detail.serverResponse.includes("hx-trigger")) {
    location.reload();
  }
});
