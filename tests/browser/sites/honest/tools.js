// What the two lists of what works have in common.

import { make, message } from "./report.js";

export const here = (path) => new URL(path, document.baseURI).href;
export const get = async (path, options) => await fetch(path, options);

export function same(got, wanted) {
  if (got !== wanted) throw new Error(`got ${got}, not ${wanted}`);
  return "works";
}

export async function worker(made, sent) {
  const heard = message(null, made);
  made.postMessage(sent);
  return await heard;
}

export const blobOf = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));

export async function digest(text) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(hash)))}`;
}

export function pixel(picture) {
  const canvas = make("canvas", { width: 1, height: 1 });
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  return pen.getImageData(0, 0, 1, 1).data.join();
}

export function frame(properties) {
  const made = make("iframe", properties);
  const heard = message(() => made.contentWindow);
  document.body.append(made);
  return heard;
}

export const byId = (id) => document.querySelector(`#${id}`);
