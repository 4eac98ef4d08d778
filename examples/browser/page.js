// Decode latent vectors in the browser, with a file that `run.export("decode.onnx", part="decode")` wrote.
// `?model=FILE` names another file beside this page.

const file = new URLSearchParams(location.search).get("model") ?? "decode.onnx";
const DAY = 86_400_000;
let ort, session, described;

/** Read the description in an ONNX file: the entry `vaekit` of field 14 of the model, which onnxruntime-web does not show. */
function describe(bytes) {
  const text = new TextDecoder();
  function* fields(from, to) {
    let at = from;
    const number = () => {
      for (let value = 0, scale = 1; ; scale *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    while (at < to) {
      const tag = number(), kind = tag & 7;
      if (kind === 0) number();
      else {
        const length = kind === 2 ? number() : kind === 1 ? 8 : 4;
        yield [tag >>> 3, at, at + length];
        at += length;
      }
    }
  }
  for (const [field, from, to] of fields(0, bytes.length)) {
    if (field !== 14) continue;
    const [key, value] = [...fields(from, to)].map(([, start, end]) => text.decode(bytes.subarray(start, end)));
    if (key === "vaekit") return JSON.parse(value);
  }
  throw new Error(`${file} has no description by vaekit. Write it with run.export("decode.onnx", part="decode").`);
}

/** Decode one latent vector, given the context of a conditional model; return the row in the units of the data. */
export async function decode(z, context = []) {
  const feeds = { z: new ort.Tensor("float32", Float32Array.from(z), [1, z.length]) };
  if (context.length) feeds.context = new ort.Tensor("float64", Float64Array.from(context), [1, context.length]);
  return [...(await session.run(feeds))[described.outputs[0].name].data];
}

/** Write a number of a column as a person reads it. */
function show(column, value) {
  if (Number.isNaN(value)) return "missing";
  if (column.categories) return String(column.categories[value] ?? "another value");
  if (!column.unit) return String(Number(value.toPrecision(7)));
  const date = new Date(Math.round(value * DAY));
  return Number.isNaN(date.getTime()) ? `day ${value}` : date.toISOString().slice(0, column.spacing >= 1 ? 10 : 19).replace("T", " ");
}

function drawPicture(canvas, values) {
  const [height, width, channels = 1] = described.schema.shape, levels = described.schema.levels;
  const [low, high] = levels > 1 ? [0, levels - 1] : [Math.min(...values), Math.max(...values)];
  Object.assign(canvas, { width, height, hidden: false });
  const brush = canvas.getContext("2d"), picture = brush.createImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < 3; c++) {
      const value = values[pixel * channels + (channels < 3 ? 0 : c)];
      picture.data[4 * pixel + c] = 255 * (value - low) / (high - low || 1);
    }
    picture.data[4 * pixel + 3] = 255;
  }
  brush.putImageData(picture, 0, 0);
}

function drawRow(table, values) {
  const columns = described.columns.length ? described.columns : values.map((_, i) => ({ name: described.schema.names[i] ?? `x${i + 1}` }));
  const cells = columns.map((column, i) => [column.name, show(column, values[i])]);
  cells.push(...Object.entries(described.constants).map(([name, value]) => [name, String(value)]));
  table.hidden = false;
  table.tBodies[0].replaceChildren(...cells.map(([name, value]) => {
    const row = document.createElement("tr");
    for (const [kind, content] of [["th", name], ["td", value]]) {
      row.append(Object.assign(document.createElement(kind), { textContent: content }));
    }
    return row;
  }));
}

function makeLabel(name, control, ...more) {
  const label = document.createElement("label");
  label.append(name, control, ...more);
  return label;
}

function makeSlider(name) {
  const slider = Object.assign(document.createElement("input"), { type: "range", min: -4, max: 4, step: 0.01, value: 0, ariaLabel: name });
  return makeLabel(name, slider, Object.assign(document.createElement("output"), { value: "0.00" }));
}

function makeChoice(column) {
  if (!column.categories) return makeLabel(column.name, Object.assign(document.createElement("input"), { type: "number", step: "any", value: 0 }));
  const choice = document.createElement("select");
  choice.append(...column.categories.map((name, i) => new Option(name, i)));
  return makeLabel(column.name, choice);
}

async function start() {
  try {
    ort = await import("./ort.wasm.min.mjs");
  } catch {
    throw new Error("onnxruntime-web is not beside this page: ort.wasm.min.mjs, ort-wasm-simd-threaded.mjs and ort-wasm-simd-threaded.wasm.");
  }
  Object.assign(ort.env.wasm, { numThreads: 1, wasmPaths: new URL("./", location.href).href });
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file} is not beside this page. Write it with run.export("${file}", part="decode").`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  described = describe(bytes);
  if (described.part !== "decode") throw new Error(`${file} holds the part '${described.part}'. This page takes the part 'decode'.`);
  session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });

  const [canvas, table, sliders, context] = ["canvas", "table", "#sliders", "#context"].map((each) => document.querySelector(each));
  const dimensions = described.inputs.find((each) => each.name === "z").shape[1];
  sliders.append(...Array.from({ length: dimensions }, (_, i) => makeSlider(`z${i + 1}`)));
  context.append(...described.context.map(makeChoice));
  const controls = [...sliders.querySelectorAll("input")], given = [...context.querySelectorAll("input, select")];

  let busy = false, again = false;
  async function refresh() {
    again = true;
    if (busy) return; // the run that is under way decodes the newest vector next
    busy = true;
    while (again) {
      again = false;
      for (const control of controls) control.nextElementSibling.value = Number(control.value).toFixed(2);
      const values = await decode(controls.map((each) => Number(each.value)), given.map((each) => Number(each.value)));
      if (described.schema.picture) drawPicture(canvas, values);
      else drawRow(table, values);
    }
    busy = false;
  }
  const set = (value) => {
    for (const control of controls) control.value = value();
    return refresh();
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  for (const control of [...controls, ...given]) control.addEventListener("input", () => refresh().catch(fail));
  document.querySelector("#zero").addEventListener("click", () => set(() => 0).catch(fail));
  document.querySelector("#draw").addEventListener("click", () => set(normal).catch(fail));
  await refresh();
  const what = described.schema.picture ? "picture" : "row";
  document.querySelector("#about").textContent = `${file}: ${described.model}, ${dimensions} latent dimensions. Move a slider to decode another ${what}.`;
  document.querySelector("main").hidden = false;
}

function fail(error) {
  document.querySelector("#about").hidden = true;
  Object.assign(document.querySelector("#fault"), { hidden: false, textContent: error.message });
}

start().catch(fail);
