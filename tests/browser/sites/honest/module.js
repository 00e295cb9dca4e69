// What works on the hub's own host as it does elsewhere.

import { answer } from "./lib/answer.js";
import { loaded, make, message, report } from "./report.js";
import { blobOf, byId, digest, frame, get, here, pixel, same, worker } from "./tools.js";

await report({
  "classic script": async () => same(window.classic, "ran"),
  "module": async () => same(answer, 42),
  "module, imported later": async () => same((await import("./lib/late.js")).twice, 84),
  "module of JSON": async () =>
    same((await import("./data.json", { with: { type: "json" } })).default.name, "honest"),
  "script with integrity": async () => {
    const integrity = await digest(await (await get("classic.js")).text());
    return same(await loaded(make("script", { src: "classic.js", crossOrigin: "", integrity })), "loaded");
  },
  "style sheet, imported by another": async () =>
    same(getComputedStyle(document.querySelector("h1")).color, "rgb(1, 2, 3)"),
  "image": async () => {
    await byId("picture").decode();
    return same(byId("picture").naturalWidth, 3);
  },
  "image with crossorigin on a canvas": async () => {
    await byId("open-picture").decode();
    return same(pixel(byId("open-picture")), "200,100,50,255");
  },
  "font of the style sheet": async () => {
    const faces = await document.fonts.load('20px "Square"', "A");
    await document.fonts.ready;
    return same(`${faces.length} ${byId("lettering").getBoundingClientRect().width}`, "1 60");
  },
  "font of a script": async () =>
    same((await new FontFace("Again", "url(square.ttf)").load()).status, "loaded"),
  "own JSON": async () => same((await (await get("data.json")).json()).name, "honest"),
  "own JSON with a header of one's own": async () =>
    same((await (await get("data.json", { headers: { "X-Thing": "1" } })).json()).name, "honest"),
  "own JSON, asked for again": async () => {
    await get("data.json");
    return same((await get("data.json", { cache: "no-cache" })).status, 200);
  },
  "part of a file": async () => {
    const part = await get("data.json", { headers: { Range: "bytes=2-5" } });
    return same(`${part.status} ${await part.text()}`, "206 name");
  },
  "folder without its slash": async () => same((await get("part")).url, here("part/")),
  "XMLHttpRequest": async () => {
    const asked = new XMLHttpRequest();
    asked.open("GET", "data.json");
    asked.responseType = "json";
    const done = new Promise((resolve) => asked.addEventListener("loadend", resolve));
    asked.send();
    await done;
    return same(asked.response?.name, "honest");
  },
  "WebAssembly": async () => {
    const { instance } = await WebAssembly.instantiateStreaming(fetch("sum.wasm"));
    return same(instance.exports.sum(40, 2), 42);
  },
  "sound, and a jump within it": async () => {
    const sound = make("audio", { src: "silence.wav", preload: "auto" });
    await new Promise((resolve) => sound.addEventListener("canplaythrough", resolve));
    sound.currentTime = 20;
    await new Promise((resolve) => sound.addEventListener("seeked", resolve));
    return same(sound.currentTime, 20);
  },
  "worker made of a blob": async () => {
    const script = await (await get("worker.js")).text();
    return same(await worker(new Worker(blobOf(script)), here("data.json")), "honest");
  },
  "modules in a worker made of a blob": async () => {
    const script = `import(${JSON.stringify(here("module-worker.js"))}).then(() => self.onmessage());`;
    return same(await worker(new Worker(blobOf(script))), 42);
  },
  "frame": async () => same(await frame({ src: "part/?from=frame" }), "ran ?from=frame"),
  "form": async () => {
    const heard = frame({ name: "answers" });
    const form = make("form", { action: "part/", target: "answers" });
    form.append(make("input", { name: "q", value: "honest" }));
    document.body.append(form);
    form.submit();
    return same(await heard, "ran ?q=honest");
  },
  "window of its own": async () => {
    let opened = null;
    const heard = message(() => opened);
    opened = window.open("part/?from=window");
    const said = await heard;
    opened.close();
    return same(said, "ran ?from=window");
  },
  "secure context": async () => same((await digest("")).length, 51),
  "address with another fragment": async () => {
    history.replaceState({ page: 2 }, "", "#two");
    return same(location.hash, "#two");
  },
  "address with another path": async () => {
    const before = location.href;
    history.replaceState({}, "", "another/path");
    history.replaceState({}, "", before);
    return "works";
  },
});
