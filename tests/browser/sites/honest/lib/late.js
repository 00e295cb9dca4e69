import { answer } from "./answer.js";

export const twice = 2 * answer;
