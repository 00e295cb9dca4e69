// Tries to read and to change what the hub keeps, with the session of whoever looks at this page.
// An attempt that succeeds says what it got, beginning with "got".

import { loaded, make, message, report } from "./report.js";

const hub = new URLSearchParams(location.search).get("hub") ?? new URL(location).origin;
const secret = `${hub}/api/packages`;
const victim = `${hub}/api/pages/victim`;
const credentials = "include";
const got = (what) => `got ${what}`;

const READ_IT = `fetch(${JSON.stringify(secret)}, { credentials: "include" })
  .then((answer) => answer.text())
  .then((text) => "got " + text, (error) => error.name)`;

// What another window or frame shows, once it shows something.
async function seen(other) {
  for (;;) {
    try {
      if (other().closed) return "out of reach";
      const found = other().document;
      if (found.URL !== "about:blank" && found.readyState === "complete") return got(found.body.innerText);
    } catch {
      return "out of reach";
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function windowWith(path) {
  const opened = window.open(path);
  return opened ?? Promise.reject(new Error("no window was opened"));
}

// What a document made of `markup` finds out, with an origin that it may have from elsewhere.
const INSIDE = `<script>${READ_IT}.then((said) =>
  (window.opener ?? window.parent).postMessage(self.origin + " " + said, "*"));</script>`;
const insideBlob = () => URL.createObjectURL(new Blob([INSIDE], { type: "text/html" }));

function framed(properties) {
  const frame = make("iframe", properties);
  const heard = message(() => frame.contentWindow);
  document.body.append(frame);
  return heard;
}

const reading = {
  "origin": async () => self.origin,
  "fetch": async () => got(await (await fetch(secret, { credentials })).text()),
  "fetch without CORS": async () => {
    const answer = await fetch(secret, { credentials, mode: "no-cors" });
    return `${answer.type} ${(await answer.text()).length}`;
  },
  "XMLHttpRequest": async () => {
    const asked = new XMLHttpRequest();
    asked.withCredentials = true;
    asked.open("GET", secret);
    const ended = new Promise((resolve) => {
      asked.onload = () => resolve(got(asked.responseText));
      asked.onerror = () => resolve("error");
    });
    asked.send();
    return await ended;
  },
  "module of JSON": async () => got((await import(secret, { with: { type: "json" } })).default),
  "script": async () => await loaded(make("script", { src: secret })),
  "module script with credentials": async () =>
    await loaded(make("script", { src: secret, type: "module", crossOrigin: "use-credentials" })),
  "frame of the API": async () => {
    const frame = make("iframe", { src: secret });
    await loaded(frame);
    return await seen(() => frame.contentWindow);
  },
  "window of the API": async () => {
    const opened = await windowWith(secret);
    return await seen(() => opened);
  },
  "frame made of text": async () => await framed({ srcdoc: INSIDE }),
  "frame made of a blob": async () => await framed({ src: insideBlob() }),
  "window made of a blob": async () => {
    let opened = null;
    const heard = message(() => opened);
    opened = await windowWith(insideBlob());
    return await heard;
  },
  "empty window": async () => {
    const opened = await windowWith("");
    return await opened.eval(READ_IT);
  },
  "worker": async () => {
    const script = `${READ_IT}.then((said) => postMessage(self.origin + " " + said));`;
    return await message(null, new Worker(URL.createObjectURL(new Blob([script]))));
  },
};

const remembering = {
  "cookie": async () => got(document.cookie),
  "cookie of one's own": async () => got((document.cookie = "planted=1; path=/")),
  "local storage": async () => got(localStorage.length),
  "session storage": async () => got(sessionStorage.length),
  "database": async () => got(indexedDB.open("planted")),
  "cache storage": async () => got(await caches.keys()),
  "service worker": async () => got(await navigator.serviceWorker.register("attempts.js")),
};

function posted(properties, fields) {
  const form = make("form", { method: "post", ...properties });
  form.append(...fields);
  document.body.append(form);
  form.submit();
}

async function archive() {
  const file = new File([await (await fetch("planted.zip")).blob()], "planted.zip");
  const carried = new DataTransfer();
  carried.items.add(file);
  const input = make("input", { type: "file", name: "file" });
  input.files = carried.files;
  return input;
}

const changing = {
  "DELETE": async () => got((await fetch(victim, { method: "DELETE", credentials })).status),
  "POST of JSON": async () => {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ publication: 1 });
    return got((await fetch(`${victim}/rollback`, { method: "POST", credentials, headers, body })).status);
  },
  "POST without CORS": async () => {
    const body = new URLSearchParams({ publication: 1 });
    const options = { method: "POST", credentials, mode: "no-cors", body };
    return (await fetch(`${victim}/rollback`, options)).type;
  },
  "form in a frame": async () => {
    const frame = make("iframe", { name: "frame" });
    document.body.append(frame);
    const file = await archive();
    const answered = new Promise((resolve) => frame.addEventListener("load", resolve));
    posted({ action: `${hub}/api/pages`, enctype: "multipart/form-data", target: "frame" }, [file]);
    await answered;
    return "sent";
  },
  "form in a window": async () => {
    const field = make("input", { name: "name", value: "planted" });
    posted({ action: `${hub}/api/packages`, target: "_blank" }, [field]);
    return "sent";
  },
};

const all = { reading, remembering, changing };
await report(all[new URLSearchParams(location.search).get("attempts")]);
