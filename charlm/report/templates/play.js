// The trained models in the page: a worker that reads and writes, and below it the page's own part. One file, without a
// library and without the network. Text of readers and models reaches the page as text alone.
"use strict";

// ---------------------------------------------------------------------------------------------------------------------
// The worker. It is made from this function's own source, so nothing outside it is known here.

function engine() {
  "use strict";

  // --- random numbers: Philox4x32-10. J. K. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.

  // Of the product of two whole numbers of 32 bits. It is rounded once and less its lower half once more, which is an error of
  // at most 2 ** 11, so that dividing by 2 ** 32 leaves almost the whole number.
  const upperHalf = (a, b) => Math.round((a * b - (Math.imul(a, b) >>> 0)) / 2 ** 32);

  // A uniform number in [0, 1) of 53 bits, from key (seed, number of the sample) and counter (position, 0, 0, 0).
  function uniform(seed, number, position) {
    let c0 = position >>> 0, c1 = 0, c2 = 0, c3 = 0, k0 = seed >>> 0, k1 = number >>> 0;
    for (let round = 0; round < 10; round++) {
      const a = upperHalf(c0, 0xd2511f53), b = upperHalf(c2, 0xcd9e8d57);
      const lowA = Math.imul(c0, 0xd2511f53), lowB = Math.imul(c2, 0xcd9e8d57);
      c0 = (b ^ c1 ^ k0) >>> 0;
      c2 = (a ^ c3 ^ k1) >>> 0;
      c1 = lowB >>> 0;
      c3 = lowA >>> 0;
      k0 = (k0 + 0x9e3779b9) >>> 0;
      k1 = (k1 + 0xbb67ae85) >>> 0;
    }
    return ((c0 >>> 5) * 67108864 + (c1 >>> 6)) / 9007199254740992;
  }

  // --- weights: float16, kept as float32 and multiplied in float64

  function bytesOf(base64) {
    const raw = atob(base64), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  }

  function floatOf(half) {
    const sign = half & 0x8000 ? -1 : 1, exponent = (half >>> 10) & 31, fraction = half & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15); // the page's maker lets no infinity through
  }

  function floatsOf(bytes) {
    const table = Float32Array.from({ length: 65536 }, (_, half) => floatOf(half));
    const floats = new Float32Array(bytes.length / 2);
    for (let i = 0; i < floats.length; i++) floats[i] = table[bytes[2 * i] | (bytes[2 * i + 1] << 8)];
    return floats;
  }

  // The product that takes most of the time, in WebAssembly, which has two numbers of float64 in one instruction:
  //
  //   multiply(weights, x, bias, out, end of out, end of x):   out = weights · x + bias
  //
  // for eight rows at a time, whose weights stand column by column. Its variables 0 to 5 are these addresses, 6 is a place in
  // x, 7 to 10 are the sums of two rows each, and 11 is a number of x twice.
  function product(memory) {
    const GET = 0x20, SET = 0x21, CONST = 0x41, ADD = 0x6a, BELOW = 0x49, LOOP = [0x03, 0x40], AGAIN = [0x0d, 0], END = 0x0b;
    const LOAD = [0xfd, 0x00, 0], LOAD_TWICE = [0xfd, 0x0a, 0], LOAD_TWO_FLOATS = [0xfd, 0x5d, 0], STORE = [0xfd, 0x0b, 0];
    const AS_DOUBLES = [0xfd, 0x5f], PLUS = [0xfd, 0xf0, 1], TIMES = [0xfd, 0xf2, 1];
    const forward = (address, ...bytes) => [GET, address, CONST, ...bytes, ADD, SET, address];
    const SIXTY_FOUR = [0xc0, 0];
    const sums = (make) => [7, 8, 9, 10].flatMap(make);
    const code = [2, 1, 0x7f, 5, 0x7b, // variables of its own: one address, five pairs of numbers
      ...LOOP,
      ...sums((s, k) => [GET, 2, ...LOAD, 16 * k, SET, s]),
      GET, 1, SET, 6,
      ...LOOP,
      GET, 6, ...LOAD_TWICE, 0, SET, 11,
      ...sums((s, k) => [GET, s, GET, 0, ...LOAD_TWO_FLOATS, 8 * k, ...AS_DOUBLES, GET, 11, ...TIMES, ...PLUS, SET, s]),
      ...forward(0, 32), ...forward(6, 8), GET, 6, GET, 5, BELOW, ...AGAIN, END,
      ...sums((s, k) => [GET, 3, GET, s, ...STORE, 16 * k]),
      ...forward(2, ...SIXTY_FOUR), ...forward(3, ...SIXTY_FOUR), GET, 3, GET, 4, BELOW, ...AGAIN, END,
      END];
    const length = (bytes) => (bytes < 128 ? [bytes] : [(bytes & 127) | 128, bytes >> 7]);
    const section = (id, bytes) => [id, ...length(bytes.length), ...bytes];
    const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // of one function of six numbers,
      ...section(1, [1, 0x60, 6, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
      ...section(2, [1, 1, 0x6d, 1, 0x6d, 2, 0, 1]), // that takes a memory m.m
      ...section(3, [1, 0]),
      ...section(7, [1, 1, 0x66, 0, 0]), // and gives a function f
      ...section(10, [1, ...length(code.length), ...code])));
    const { f } = new WebAssembly.Instance(module, { m: { m: memory } }).exports;
    return (weights, x, bias, out) => f(weights.byteOffset, x.byteOffset, bias.byteOffset, out.byteOffset,
      out.byteOffset + out.byteLength, x.byteOffset + x.byteLength);
  }

  const eights = (n) => 8 * Math.ceil(n / 8);

  // A trained model that reads one character at a time. Its state is one array: of each layer the hidden state, then of each
  // the cell state.
  class Model {
    constructor(about, size) {
      const { cell, hidden_size: hidden, layers } = about.config, all = floatsOf(bytesOf(about.weights));
      this.memory = new WebAssembly.Memory({ initial: Math.ceil(all.length / 8192) + 16 }); // 8 bytes a weight, and some more
      this.used = 0;
      this.multiply = product(this.memory);
      this.hidden = hidden;
      this.size = size;
      this.gates = cell === "lstm" ? 4 * hidden : hidden;
      this.step = cell === "lstm" ? this.lstm : this.rnn;
      let read = 0;
      const next = (n) => all.subarray(read, (read += n));
      this.layers = Array.from({ length: layers }, (_, layer) => {
        const fromBelow = next(this.gates * (layer ? hidden : size)), fromOwn = next(this.gates * hidden);
        const one = next(this.gates), other = next(this.gates), bias = Float64Array.from(one, (b, i) => b + other[i]);
        const x = this.room(Float64Array, (layer ? 2 : 1) * hidden); // the state below, where there is one, and its own
        if (layer) return { x, biases: [this.vector(bias)], weights: this.matrix(this.gates, fromBelow, fromOwn) };
        // A matrix times a one-hot vector is a column of the matrix: the first layer looks it up.
        const column = (id) => this.vector(bias.map((b, row) => b + fromBelow[row * size + id]));
        return { x, biases: Array.from({ length: size }, (_, id) => column(id)), weights: this.matrix(this.gates, fromOwn) };
      });
      this.head = { x: this.room(Float64Array, hidden), weights: this.matrix(size, next(size * hidden)), bias: this.vector(next(size)) };
      this.sums = this.room(Float64Array, eights(this.gates));
      this.logits = this.room(Float64Array, eights(size));
    }

    room(kind, length) {
      const made = new kind(this.memory.buffer, this.used, length);
      this.used += eights(made.byteLength);
      return made;
    }

    vector(values) {
      const made = this.room(Float64Array, eights(values.length));
      made.set(values);
      return made;
    }

    // Matrices beside each other as one, in the order of the product.
    matrix(rows, ...parts) {
      const n = parts.reduce((columns, part) => columns + part.length / rows, 0);
      const made = this.room(Float32Array, eights(rows) * n);
      let left = 0;
      for (const part of parts) {
        const columns = part.length / rows;
        for (let row = 0; row < rows; row++)
          for (let i = 0; i < columns; i++) made[(row - (row % 8)) * n + (left + i) * 8 + (row % 8)] = part[row * columns + i];
        left += columns;
      }
      return made;
    }

    zero() {
      return new Float64Array(2 * this.layers.length * this.hidden);
    }

    // Reads a character: changes the state, and gives the logits of the next one (the same array every time).
    read(id, state) {
      const n = this.hidden, depth = this.layers.length;
      const own = (layer) => state.subarray(layer * n, (layer + 1) * n);
      this.layers.forEach(({ x, biases, weights }, layer) => {
        x.set(state.subarray(Math.max(0, layer - 1) * n, (layer + 1) * n));
        this.multiply(weights, x, biases[layer ? 0 : id], this.sums);
        this.step(this.sums, own(layer), own(depth + layer));
      });
      this.head.x.set(own(depth - 1));
      this.multiply(this.head.weights, this.head.x, this.head.bias, this.logits);
      return this.logits.subarray(0, this.size);
    }

    rnn(sums, own) {
      for (let i = 0; i < own.length; i++) own[i] = Math.tanh(sums[i]);
    }

    lstm(sums, own, memory) {
      const n = own.length;
      for (let i = 0; i < n; i++) {
        const enter = 1 / (1 + Math.exp(-sums[i])), keep = 1 / (1 + Math.exp(-sums[n + i]));
        const leave = 1 / (1 + Math.exp(-sums[3 * n + i]));
        memory[i] = keep * memory[i] + enter * Math.tanh(sums[2 * n + i]);
        own[i] = leave * Math.tanh(memory[i]);
      }
    }
  }

  // --- the counting model: interpolated Kneser-Ney, as charlm/ngram.py has it. Its state is the characters before, and its
  // logits are logarithms of probabilities.

  class Counting {
    constructor(chunks, { order, occurring, preceding }, size) {
      this.text = Int16Array.from(chunks.flatMap((chunk) => [-1, ...chunk])); // a -1 before each
      this.all = Int32Array.from(this.text.keys()).filter((place) => this.text[place] >= 0);
      this.discounts = { occurring, preceding }; // by length of the context
      this.longest = order - 1;
      this.size = size;
      this.found = new Map();
    }

    // What stands after a context: in which places, how often each character occurs there, and how many different characters
    // (or the start of a chunk) stand before the context and it.
    after(context) {
      const key = context.join();
      if (!this.found.has(key)) {
        const places = context.length ? this.after(context.slice(1)).places.filter((place) => this.text[place - context.length] === context[0])
          : this.all;
        const occurring = new Float64Array(this.size), preceding = new Float64Array(this.size), pairs = new Set();
        for (const place of places) {
          const id = this.text[place];
          occurring[id]++;
          pairs.add((this.text[place - context.length - 1] + 1) * this.size + id);
        }
        for (const pair of pairs) preceding[pair % this.size]++;
        this.found.set(key, { places, occurring, preceding });
      }
      return this.found.get(key);
    }

    zero() {
      return [];
    }

    read(id, state) {
      state.push(id);
      if (state.length > this.longest) state.shift();
      let p = new Float64Array(this.size).fill(1 / this.size);
      for (let length = 0; length <= state.length; length++) {
        const kind = length === state.length ? "occurring" : "preceding", discount = this.discounts[kind][length];
        const counts = this.after(state.slice(state.length - length))[kind];
        const total = sum(counts), spare = discount * counts.filter(Boolean).length;
        if (total) p = p.map((below, c) => (Math.max(0, counts[c] - discount) + spare * below) / total);
      }
      return p.map(Math.log);
    }
  }

  // --- from logits to a character, as charlm/sampling.py has it

  function likeliestFirst(values) {
    return Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  }

  function sum(values) {
    return values.reduce((a, b) => a + b, 0);
  }

  // The distribution that temperature, top-k (0: all) and top-p (1: all) make of the logits. Temperature 0: the likeliest.
  function distribution(logits, temperature, topK = 0, topP = 1) {
    const top = logits.reduce((best, z, i) => (z > logits[best] ? i : best), 0);
    if (temperature === 0) return logits.map((_, i) => (i === top ? 1 : 0));
    const weights = logits.map((z) => Math.exp((z - logits[top]) / temperature));
    const all = sum(weights);
    if (topP >= 1 && !(topK > 0 && topK < weights.length)) return weights.map((w) => w / all);
    const order = likeliestFirst(weights);
    const k = topK > 0 ? Math.min(topK, order.length) : order.length;
    const ranked = order.map((id, rank) => (rank < k ? weights[id] / all : 0));
    const share = topP * sum(ranked);
    const kept = new Float64Array(weights.length);
    for (let rank = 0, before = 0; rank < k; rank++) {
      if (topP < 1 && before >= share) break;
      kept[order[rank]] = ranked[rank];
      before += ranked[rank];
    }
    const total = sum(kept);
    return kept.map((w) => w / total);
  }

  function draw(probabilities, u) {
    const threshold = u * sum(probabilities);
    let cumulative = 0;
    for (let id = 0; id < probabilities.length; id++) {
      cumulative += probabilities[id];
      if (cumulative > threshold) return id;
    }
    return probabilities.length - 1;
  }

  // --- the text that the models learnt from

  const COPY = 20; // characters of a passage that is marked
  const HEADING = /^[^.,;:!?\n-]*\p{L}[^.,;:!?\n-]*:$/gmu; // a speaker's name as plays print it

  // The training chunks of a run, each with the one character more that is its last target, as [number, characters].
  function trainingChunks(characters, length, bits) {
    const bytes = bytesOf(bits), found = [];
    for (let i = 0; (i + 1) * length < characters.length; i++)
      if ((bytes[i >> 3] >> (i & 7)) & 1) found.push([i, characters.slice(i * length, (i + 1) * length + 1)]);
    return found;
  }

  // The same as one text: chunks that follow each other run on, and a character that no text has stands before others.
  function trainingText(chunks) {
    const goesOn = (k) => k > 0 && chunks[k][0] === chunks[k - 1][0] + 1;
    return chunks.flatMap(([, chunk], k) => (goesOn(k) ? chunk.slice(1) : ["\uffff", ...chunk])).join("");
  }

  // A number for the COPY characters before `end`: most passages that are looked for need no search.
  function hash(text, end) {
    let number = 0;
    for (let i = end - COPY; i < end; i++) number = Math.imul(number, 0x01000193) ^ text.charCodeAt(i);
    return Math.imul(number ^ (number >>> 15), 0x85ebca6b) >>> 10;
  }

  // The words of a text, case-folded, with where they begin and end: letters, their marks, and apostrophes inside.
  function wordsIn(text) {
    const words = text.matchAll(/[\p{L}\p{M}](?:[\p{L}\p{M}'’]*[\p{L}\p{M}])?/gu);
    return Array.from(words, ({ 0: found, index }) =>
      ({ word: found.replaceAll("’", "'").toLowerCase(), begin: index, end: index + found.length }));
  }

  // --- what is asked of the worker

  const SLICE = 40; // milliseconds of work after which others get their turn
  const models = {}, trainingTexts = {}, marks = {}; // by cell; marks of the passages of COPY characters in a training text
  let vocab, ids, corpus, words, headings;
  let writings = []; // the texts that are being written, at a temperature each

  function begin(content) {
    vocab = Array.from(content.vocab);
    ids = new Map(vocab.map((c, i) => [c, i]));
    corpus = content.text;
    for (const [cell, about] of Object.entries(content.models)) models[cell] = new Model(about, vocab.length);
    if (corpus === null) return;
    const characters = Array.from(corpus), { chunk_length: length, counting } = content, chunks = {};
    for (const [cell, { training }] of Object.entries(content.models)) {
      chunks[cell] = trainingChunks(characters, length, training);
      const text = (trainingTexts[cell] = trainingText(chunks[cell]));
      marks[cell] = new Uint8Array(2 ** 22);
      for (let end = COPY; end <= text.length; end++) marks[cell][hash(text, end)] = 1;
    }
    words = new Set(wordsIn(corpus).map(({ word }) => word));
    headings = new Set(corpus.match(HEADING));
    if (!counting) return;
    const learnt = chunks[counting.cell].map(([, chunk]) => chunk.map((c) => ids.get(c)));
    models.ngram = new Counting(learnt, counting, vocab.length);
  }

  function start({ cell, prompt, temperatures, topK, topP, seed }) {
    const model = models[cell], state = model.zero(), read = Array.from(prompt, (c) => ids.get(c));
    let logits;
    for (const id of read) logits = model.read(id, state);
    writings = temperatures.map((temperature) => {
      const next = distribution(logits, temperature, topK, topP), copies = { next: prompt.length + COPY, ends: [] };
      return { cell, state: state.slice(), prompt, begun: read.length, ids: read.slice(), next, temperature, topK, topP, seed, copies };
    });
  }

  function writeOne(w) {
    const id = draw(w.next, uniform(w.seed, 0, w.ids.length));
    w.ids.push(id);
    w.next = distribution(models[w.cell].read(id, w.state), w.temperature, w.topK, w.topP);
  }

  function likeliest(probabilities, n) {
    return likeliestFirst(probabilities).slice(0, n).map((id) => [vocab[id], probabilities[id]]);
  }

  const textOf = (w) => w.ids.map((id) => vocab[id]).join("");

  // Passages of COPY characters and more, without prompt and headings, that stand in the training text, as [begin, end]. What was
  // looked at once is not looked at again: `copies` is where to go on, and where passages of COPY characters end.
  function copied(w, text) {
    const training = trainingTexts[w.cell], { copies } = w, found = [];
    for (let end = copies.next; end <= text.length; copies.next = ++end)
      if (marks[w.cell][hash(text, end)] && training.includes(text.slice(end - COPY, end))) copies.ends.push(end);
    const others = text.replace(HEADING, (line) => "\uffff".repeat(line.length));
    for (const end of copies.ends) {
      const begin = end - COPY, last = found.at(-1);
      if (others.slice(begin, end).includes("\uffff")) continue;
      if (last?.[1] >= begin) last[1] = end;
      else found.push([begin, end]);
    }
    return found;
  }

  const wholeWords = (text) => wordsIn(text).filter(({ end }) => end < text.length); // the last one may go on

  // A text, and what is marked in it: words that the corpus does not have, copies. All places are of a JavaScript string.
  function looked(w) {
    const text = textOf(w);
    const found = { text, length: w.ids.length - w.begun, temperature: w.temperature, next: likeliest(w.next, 10) };
    if (corpus === null) return found;
    const unknown = wholeWords(text).filter(({ word }) => !words.has(word)).map(({ begin, end }) => [begin, end]);
    return { ...found, unknown, copied: copied(w, text) };
  }

  // Of a text behind its prompt: the share of words that the corpus has, the longest passage of its end that stands in the
  // training text, and of the lines that end in a colon the share of speakers that the corpus has. No share is of nothing.
  function measured(w, length) {
    const own = textOf(w).slice(w.prompt.length), end = own.slice(-length), training = trainingTexts[w.cell];
    let copy = 0;
    for (let b = 1; b <= end.length; b++) while (copy < b && training.includes(end.slice(b - copy - 1, b))) copy++;
    const lines = own.split("\n").slice(1, -1).filter((line) => line.endsWith(":")), share = (all, known) => all.filter(known).length / all.length;
    const whole = wholeWords(textOf(w)).filter(({ begin }) => begin >= w.prompt.length);
    return { copy, words: share(whole, ({ word }) => words.has(word)), headings: share(lines, (line) => headings.has(line)) };
  }

  // --- reading: the surprise at each character, and what was expected in its place. What did not change is not read again.

  const reading = {};

  function read(cell, text) {
    const model = models[cell], steps = (reading[cell] ??= []); // of each character, with state and logits after it
    const changed = steps.findIndex(({ c }, i) => c !== text[i]);
    if (changed >= 0) steps.length = changed;
    for (const c of text.slice(steps.length)) {
      const { state: before = model.zero(), logits: expected } = steps.at(-1) ?? {}, id = ids.get(c);
      if (id === undefined) steps.push({ c, place: null }); // no model knows it, and nothing stands before the next one
      else {
        const p = expected && distribution(expected, 1), state = before.slice(), logits = model.read(id, state).slice();
        steps.push({ c, place: p ? [-Math.log(p[id]), likeliest(p, 5)] : null, state, logits });
      }
    }
    return steps.map(({ place }) => place);
  }

  const answers = {
    begin,
    start(settings) {
      start(settings);
      return writings.map(looked);
    },
    more({ most }) {
      const until = performance.now() + SLICE;
      for (let n = 0; n < most && performance.now() < until; n++) writings.forEach(writeOne);
      return writings.map(looked);
    },
    measure: ({ length }) => writings.map((w) => measured(w, length)),
    read({ text }) {
      const rows = Object.fromEntries(Object.keys(models).map((cell) => [cell, read(cell, Array.from(text))]));
      const learnt = Object.keys(trainingTexts).filter((cell) => trainingTexts[cell].includes(text));
      return { rows, learnt, inCorpus: Boolean(corpus?.includes(text)) };
    },
  };

  self.onmessage = ({ data: { what, given } }) => self.postMessage(answers[what](given));
}

// ---------------------------------------------------------------------------------------------------------------------
// The page

function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function play() {
  const at = (name) => document.getElementById(`play-${name}`);
  const live = document.getElementById("play"), data = at("data");
  if (String(crc32(new TextEncoder().encode(data?.textContent))) !== data?.dataset.crc32)
    return show("they are damaged, their checksum does not fit; take the page from its source again");
  const content = JSON.parse(data.textContent), cells = Object.keys(content.models), vocabulary = new Set(content.vocab);
  const NAMES = { rnn: "RNN", lstm: "LSTM", ngram: "counting" };
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const percent = (p) => (p > 0 && p < 0.001 ? "<0.1%" : `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)}%`);
  const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

  // --- elements: made of text, never of markup

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function table(caption, head, rows) {
    const top = head.map((text) => (text ? element("th", { scope: "col" }, text) : element("td")));
    const body = rows.map(([name, ...values]) =>
      element("tr", {}, element("th", { scope: "row" }, name), ...values.map((value) => element("td", {}, value))));
    return element("table", {}, element("caption", {}, caption), element("thead", {}, element("tr", {}, ...top)),
      element("tbody", {}, ...body));
  }

  // Characters that act instead of showing are written as their numbers.
  const number = (c) => `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  const visible = (text) =>
    text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => ("\n\t\u200c\u200d".includes(c) ? c : `⟨${number(c)}⟩`));
  const inline = (text) => visible(text).replaceAll("\n", "↵").replaceAll("\t", "⇥");
  const quoted = (c) => ({ " ": "space", "\n": "end of line" })[c] ?? `“${inline(c)}”`;
  const glyph = (c) => ({ " ": "␣", "\n": "↵" })[c] ?? inline(c);

  // "“é” (U+00E9) at position 5", for each character that no model knows; empty where there is none.
  function unknownIn(text) {
    const first = new Map();
    Array.from(text).forEach((c, i) => vocabulary.has(c) || first.has(c) || first.set(c, i + 1));
    const named = Array.from(first, ([c, i]) => `“${inline(c)}” (${number(c)}) at position ${i}`);
    return named.slice(0, 5).join(", ") + (named.length > 5 ? ` and ${named.length - 5} more` : "");
  }

  // --- the worker, which answers in the order in which it is asked

  const PATIENCE = 30_000; // milliseconds
  const waiting = [];
  let worker;

  // The models, or one line that says why they cannot be tried, and what was stored.
  function show(why = "") {
    at("failed").textContent = why && `The models cannot be tried here: ${why}.`;
    at("failed").hidden = !why;
    live.hidden = Boolean(why);
    document.getElementById("play-instead").hidden = !why;
  }

  function startWorker() {
    worker = new Worker(URL.createObjectURL(new Blob([`(${engine})()`], { type: "text/javascript" })));
    worker.onmessage = ({ data: answer }) => waiting.shift()(answer);
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      waiting.length = 0;
      show(`this browser does not run them (${event.message || "no worker starts"})`);
    };
  }

  function ask(what, given) {
    const late = setTimeout(() => waiting.length && show("their worker does not answer"), PATIENCE);
    worker.postMessage({ what, given });
    return new Promise((resolve) => waiting.push((answer) => {
      clearTimeout(late);
      show(); // an answer that comes late is taken all the same
      resolve(answer);
    }));
  }

  // --- settings: each with what it takes, from the address or from a field

  const DECADE = [10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30, 33, 36, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95];
  const STEPS = [0, ...DECADE.map((n) => n / 100), ...DECADE.map((n) => n / 10), 10]; // of the slider
  const MOST_PROMPT = 1000, MOST_READ = 2000; // characters
  const FIELDS = ["second", "third", "seed", "top-k", "top-p", "length"]; // numbers; the elements know what they take

  const field = (name) => (text) => {
    const { min, max, step } = at(name);
    const good = /^\d*\.?\d+$/.test(text) && text.length < 20 && +text >= min && +text <= max && (step !== "1" || Number.isInteger(+text));
    return good ? +text : null;
  };
  const oneMore = (text) => (text ? field("second")(text) : "");
  const upTo = (most) => (text) => (Array.from(text).length <= most ? text : null);
  const TAKES = {
    cell: (text) => (cells.includes(text) ? text : null),
    prompt: (text) => upTo(MOST_PROMPT)(text) || null,
    temperature: field("second"),
    ...Object.fromEntries(FIELDS.map((name) => [name, field(name)])),
    second: oneMore,
    third: oneMore,
    written: (text) => (text === "0" ? 0 : field("length")(text)), // and what is read, and what is looked at: of the address alone
    text: upTo(MOST_READ),
    look: (text) => (["write", "read", "draw"].includes(text) ? text : null),
  };
  const DEFAULTS = { cell: cells.at(-1), prompt: content.prompt, temperature: content.temperature.closest.best ?? 0.7,
    second: "", third: "", seed: 0, "top-k": 0, "top-p": 1, length: 300, written: 300, text: content.sentence, look: "write" };
  const settings = { ...DEFAULTS };
  const temperatures = () => [settings.temperature, settings.second, settings.third].filter((t) => t !== "");

  function place(t) { // of a temperature on the slider, from 0 to 1
    const next = STEPS.findIndex((step) => step >= t), back = STEPS[next] - t;
    return (next - (back && back / (STEPS[next] - STEPS[next - 1]))) / (STEPS.length - 1);
  }

  function showSettings() {
    for (const input of at("cells").querySelectorAll("input")) input.checked = input.value === settings.cell;
    at("prompt").value = settings.prompt;
    at("temperature").value = Math.round(place(settings.temperature) * (STEPS.length - 1));
    for (const name of FIELDS) at(name).value = settings[name];
    showTemperature();
  }

  function showTemperature() {
    const t = settings.temperature, said = t ? String(t) : "0, greedy: always the likeliest";
    at("temperature-shown").textContent = said;
    at("temperature").setAttribute("aria-valuetext", said);
  }

  // --- the slider's evidence

  function showEvidence() {
    const { closest: near, half, cell } = content.temperature, scale = at("scale");
    const put = (left, made) => {
      made.style.left = `${100 * left}%`;
      scale.append(made);
    };
    for (const t of [0, 0.2, 0.5, 1, 2, 5, 10]) {
      put(place(t), element("span", { class: "play-tick" }));
      put(place(t), element("span", { class: "play-number" }, String(t)));
    }
    const said = [];
    if (near.best !== null) {
      const band = element("span", { class: "play-band" });
      band.style.width = `${100 * (place(near.high) - place(near.low))}%`;
      put((place(near.low) + place(near.high)) / 2, band);
      const reach = near.low < near.high ? `95% interval ${near.low} to ${near.high}` : "95% interval: this one alone, of those measured";
      said.push(element("span", {}, element("i", { class: "play-dot" }), `Closest to real text: ${near.best} (${reach}). `));
    }
    if (half !== null) {
      put(place(half), element("span", { class: "play-worse" }));
      said.push(element("span", {}, element("i", { class: "play-dot play-bad" }),
        `From ${half} on, real words are fewer than half of real text's. `));
    }
    if (said.length) said.push(`Measured on the ${cell}'s texts, nothing cut off.`);
    at("evidence").append(...said);
  }

  // --- Write

  let texts = null; // the worker's last answer, a text for each temperature
  let turn = 0; // a new one with every new beginning: what an older one still awaits comes too late
  let busy = false; // begins, or writes on
  let playing = false;
  let wanted = 0; // characters that a text is to have at once, before it rests or plays on
  const PACE = 22; // milliseconds a character, for a reader
  const length = () => Math.max(wanted, texts?.[0].length ?? 0); // also while a change is still at work
  const isOver = () => texts[0].length >= settings.length;

  function showTexts() {
    at("texts").replaceChildren(...texts.map(sheet));
    at("texts").classList.toggle("play-several", texts.length > 1);
    at("play").textContent = playing ? "Pause" : "Play";
    at("step").disabled = isOver() || playing;
    at("end").disabled = isOver();
    at("summary").setAttribute("aria-live", playing ? "off" : "polite"); // only of a text at rest a screen reader is told
    at("summary").textContent = written();
  }

  const written = () => `${counted(texts[0].length, "character")} written.`;

  // A text with its marks, and the likeliest next characters.
  function sheet({ text, temperature, next, unknown = [], copied = [] }) {
    const given = settings.prompt.length;
    const places = Array.from(new Set([0, given, text.length, ...unknown.flat(), ...copied.flat()])).sort((a, b) => a - b);
    const inside = (ranges, a) => ranges.some(([begin, end]) => begin <= a && a < end);
    const parts = places.slice(1).map((b, i) => {
      const a = places[i];
      let part = document.createTextNode(visible(text.slice(a, b)));
      if (inside(unknown, a)) part = element("u", {}, part);
      if (inside(copied, a)) part = element("mark", {}, part);
      return a < given ? element("span", { class: "play-given" }, part) : part;
    });
    const bars = next.filter(([, p]) => p > 0).map(([c, p]) => {
      const bar = element("i", { "aria-hidden": "true" });
      bar.style.width = `${100 * p}%`;
      return element("li", {}, element("b", { title: quoted(c) }, glyph(c)), bar, element("span", {}, percent(p)));
    });
    const title = texts.length > 1 ? [element("h4", {}, `T = ${temperature}`)] : [];
    return element("div", { class: "play-sheet" },
      element("div", { class: "play-text" }, ...title, element("p", { class: "play-verse", dir: "auto" }, ...parts)),
      element("div", { class: "play-next" }, element("h4", {}, "Next character"), element("ol", {}, ...bars)));
  }

  // What the worker is asked for a new text.
  function request() {
    const { cell, prompt, seed } = settings;
    return { cell, prompt, temperatures: temperatures(), seed, topK: settings["top-k"], topP: settings["top-p"] };
  }

  async function more(most, mine) {
    const answer = await ask("more", { most });
    if (mine !== turn) return false;
    texts = answer;
    showTexts();
    return true;
  }

  function faultOf(prompt) {
    const unknown = unknownIn(prompt), length = Array.from(prompt).length;
    if (!length) return "Give at least one character to start from.";
    if (length > MOST_PROMPT) return `The prompt has ${length} characters, of ${MOST_PROMPT} at most: nothing is written.`;
    return unknown && `Not in the vocabulary of ${vocabulary.size} characters: ${unknown}. The models cannot read them.`;
  }

  // The text from its beginning, and then as many characters as there were.
  async function begin(keep) {
    const mine = ++turn, said = faultOf(settings.prompt);
    wanted = keep;
    busy = !said;
    at("prompt-said").textContent = said;
    at("prompt").setAttribute("aria-invalid", Boolean(said));
    at("texts").setAttribute("aria-busy", busy);
    for (const name of ["play", "step", "end", "other"]) at(name).disabled = Boolean(said);
    if (said) {
      playing = false;
      return;
    }
    const answer = await ask("start", request());
    if (mine !== turn) return;
    texts = answer;
    await write();
  }

  // Writes what is wanted at once and then, while it plays, on at the pace of a reader.
  async function write() {
    const mine = turn;
    let since = performance.now(); // what a reader has not been given since then is due
    busy = true;
    at("texts").setAttribute("aria-busy", true);
    showTexts();
    while (!isOver() && (playing || texts[0].length < wanted)) {
      const lacking = Math.min(wanted, settings.length) - texts[0].length, now = performance.now();
      const due = Math.floor((now - since) / PACE), most = lacking > 0 ? lacking : Math.min(due, settings.length - texts[0].length);
      since = lacking > 0 ? now : since + due * PACE;
      if (most > 0 && !(await more(most, mine))) return;
      if (lacking <= 0) await new Promise(requestAnimationFrame);
      if (mine !== turn) return;
    }
    rest();
  }

  function start(atOnce) {
    if (atOnce) wanted = settings.length;
    playing = true;
    if (!busy) write(); // or else what is at work goes on to it
  }

  function pause() {
    wanted = 0;
    playing = false;
  }

  async function step() {
    const before = texts;
    if (busy || !(await more(1, turn))) return;
    const said = texts.map((text, i) => {
      const c = Array.from(text.text).at(-1), expected = new Map(before[i].next);
      return `${quoted(c)}, ${expected.has(c) ? percent(expected.get(c)) : "one of the rare ones"}`;
    });
    rest();
    at("summary").textContent = `${said.join("; ")}. ${written()}`;
  }

  function rest() {
    busy = playing = false;
    wanted = 0;
    showTexts();
    at("command").replaceChildren(...command().flatMap((part, i) => [i ? " " : "", element("span", {}, part)]));
    at("texts").setAttribute("aria-busy", false);
    showMeasures();
    keepAddress();
  }

  function changed(name, value) {
    if (settings[name] === value) return;
    settings[name] = value;
    settings.look = "write";
    if (name === "temperature") showTemperature();
    begin(length());
  }

  function again() {
    settings.look = "write";
    playing = true;
    begin(still.matches ? settings.length : 0);
  }

  function listenToSettings() {
    for (const cell of cells) {
      const input = element("input", { type: "radio", name: "cell", value: cell });
      input.addEventListener("change", () => changed("cell", cell));
      at("cells").append(element("label", {}, input, NAMES[cell]));
    }
    at("settings").addEventListener("submit", (event) => event.preventDefault());
    at("prompt").addEventListener("input", () => changed("prompt", at("prompt").value));
    at("temperature").max = STEPS.length - 1;
    at("temperature").addEventListener("input", () => changed("temperature", STEPS[at("temperature").value]));
    for (const name of FIELDS)
      at(name).addEventListener("input", () => {
        const { min, max, step, labels, validity } = at(name), value = validity.badInput ? null : TAKES[name](at(name).value.trim());
        at(name).setAttribute("aria-invalid", value === null);
        if (value !== null) return changed(name, value);
        at("summary").textContent = `${labels[0].textContent}: needs a ${step === "1" ? "whole " : ""}number from ${min} to ${max}.`;
      });
    at("play").addEventListener("click", () => {
      if (playing) pause();
      else if (isOver()) again();
      else start(still.matches);
    });
    at("step").addEventListener("click", step);
    at("end").addEventListener("click", () => start(true));
    at("other").addEventListener("click", () => {
      settings.seed = (settings.seed + 1) % 2 ** 32;
      at("seed").value = settings.seed;
      again();
    });
    at("copy").addEventListener("click", () => copy(command().join(" "), "The command"));
    at("copy-address").addEventListener("click", () => {
      writeAddress();
      copy(location.href, "The address");
    });
  }

  // --- the text's measures, beside those of the study

  async function showMeasures() {
    const { drawn, real: of, length, cell } = content.temperature;
    if (!texts[0].unknown || !texts[0].length || !of || !drawn.length) return at("measures").replaceChildren();
    const mine = turn, measured = await ask("measure", { length });
    if (mine !== turn) return;
    const distance = (row) => Math.abs(row.temperature - settings.temperature);
    const near = drawn.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    const share = (p) => (p === null || Number.isNaN(p) ? "–" : percent(p));
    const size = (n) => (n === null ? "–" : n.toFixed(1));
    const rows = [
      ["real words", ...measured.map((m) => share(m.words)), share(near.words), share(of.words)],
      [`longest copy in the last ${length} characters`, ...measured.map((m) => String(m.copy)), size(near.copied), size(of.copied)],
      ["of the lines that end in a colon, known speakers", ...measured.map((m) => share(m.headings)), share(near.headings), share(of.headings)],
    ];
    const own = texts.map((text) => (texts.length > 1 ? `T = ${text.temperature}` : "this text"));
    at("measures").replaceChildren(table(
      `Measures, beside those that the temperature study took of many texts of the ${cell}, nothing cut off, and of real text. There words and speakers were looked up in the rest of the corpus; here in all of it.`,
      ["", ...own, `study, T = ${near.temperature}`, "real text"], rows));
  }

  // --- Send it

  const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`; // for a POSIX shell

  function command() { // in parts, within which no line is broken where it can be helped
    const parts = ["python generate.py --weights float16", `--run ${content.models[settings.cell].run}`, `--prompt=${shell(settings.prompt)}`,
      `--length ${texts?.[0].length || settings.length}`, ...temperatures().map((t) => `--temperature ${t}`)];
    if (settings["top-k"]) parts.push(`--top-k ${settings["top-k"]}`);
    if (settings["top-p"] < 1) parts.push(`--top-p ${settings["top-p"]}`);
    return [...parts, `--seed ${settings.seed}`];
  }

  async function copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      at("copied").textContent = `${what} is copied.`;
    } catch {
      at("copied").textContent = "This browser does not let a page copy: select the text and copy it.";
    }
  }

  // --- the address, which holds all settings and what is looked at

  const PREFIX = "#play?";
  let held = ""; // what the browser's history holds of its present entry
  let keeping = 0;

  // It ends in a word of its own: mail and chat drop a full stop from an address's end, and a part that is cut off is missed.
  function addressOf() {
    const read = Array.from(at("sentence").value).slice(0, MOST_READ).join("");
    const all = new URLSearchParams({ ...settings, written: length(), text: read });
    return PREFIX + all.toString().replaceAll("+", "%20");
  }

  function keepAddress() { // what follows in quick order is one step back; and browsers allow only so many changes in a while
    clearTimeout(keeping);
    keeping = setTimeout(() => addressOf() === held || writeAddress(), 700); // before anything is set, it stays as it is
  }

  // Back undoes what was set, but does not take back text that was only written on.
  function writeAddress() {
    clearTimeout(keeping);
    const now = addressOf(), bare = (address) => address.replace(/&(written|look)=\w*/g, "");
    try {
      if (bare(now) !== bare(held)) {
        history.replaceState(held, "");
        history.pushState(now, "", now);
      } else history.replaceState(now, "", now);
      held = now;
    } catch { // in a frame a page may not, in some browsers
      at("kept").textContent = "In this frame the page may not change its address, so none holds the settings: open the page by itself.";
      at("copy-address").disabled = true;
    }
  }

  function decoded(text) { // null where it cannot be read: a bare plus may have been a space or a plus
    try {
      return text.includes("+") ? null : decodeURIComponent(text);
    } catch {
      return null;
    }
  }

  // What an address asks for; what cannot be read in it, or was cut off, is named, and the default stands.
  function readAddress(address) {
    Object.assign(settings, DEFAULTS);
    const parts = address.startsWith(PREFIX) ? address.slice(PREFIX.length).split("&").filter(Boolean) : [], bad = new Set();
    if (parts.length && !parts.some((part) => part.startsWith("look="))) bad.add("look");
    for (const part of parts) {
      const name = part.split("=")[0], text = decoded(part.slice(name.length + 1)), known = Object.hasOwn(TAKES, name);
      const value = known && text !== null ? TAKES[name](text) : null;
      if (value === null) bad.add(known ? name : "a name that is not known");
      else settings[name] = value;
    }
    at("address").hidden = !bad.size;
    at("address").textContent = bad.size ? `Not all of the address can be read (${Array.from(bad).join(", ")}): the default stands in its place.` : "";
  }

  // --- Read

  let readings = null; // {cell: places}, each null or [surprise, [[character, probability], …]]
  let sentence = [];
  let reading = 0;
  const MOST_NATS = 6; // the strongest colour
  const named = (keys) => keys.map((key) => NAMES[key]).join(" and ");

  async function readSentence() {
    const mine = ++reading, whole = Array.from(at("sentence").value), text = whole.slice(0, MOST_READ).join("");
    const unknown = unknownIn(text), said = [];
    at("rows").setAttribute("aria-busy", true);
    if (whole.length > MOST_READ) said.push(`The text has ${whole.length} characters: only the first ${MOST_READ} are read.`);
    if (unknown) said.push(`Not in the vocabulary of ${vocabulary.size} characters: ${unknown}. There the models stop, and begin anew after it.`);
    at("sentence-said").textContent = said.join(" ");
    const answer = await ask("read", { text });
    if (mine !== reading) return;
    sentence = Array.from(text);
    readings = answer.rows;
    at("trained").textContent = trainedOn(answer);
    showReading();
    showMeans();
    at("rows").setAttribute("aria-busy", false);
  }

  function trainedOn({ learnt, inCorpus }) {
    if (content.text === null || !sentence.length) return "";
    if (!inCorpus) return "The corpus does not have this text: no model was trained on it as a whole.";
    const others = cells.filter((cell) => !learnt.includes(cell)), said = ["The corpus has this text."];
    if (learnt.length) said.push(`Trained on it: ${named(learnt)}.`);
    if (others.length) said.push(`Held out, at least in part, from ${named(others)}.`);
    return said.join(" ");
  }

  function showReading() {
    const names = Object.keys(readings).map((cell) => element("span", {}, NAMES[cell]));
    at("rows").replaceChildren(element("div", { class: "play-names", "aria-hidden": "true" }, ...names),
      element("div", { role: "listbox", "aria-label": "Surprise, character by character", "aria-orientation": "horizontal" }, ...sentence.map(columnOf)));
    const first = at("rows").querySelector("[role=option]");
    if (first) first.tabIndex = 0;
    at("expected").replaceChildren(element("p", {}, sentence.length > 1 ? "Point at a character, or go there with the arrow keys: what was expected?" : ""));
  }

  // A character under each model.
  function columnOf(c, i) {
    const known = vocabulary.has(c), made = element("span", { role: "option", tabindex: -1, "aria-describedby": "play-expected" });
    const said = [];
    for (const [cell, places] of Object.entries(readings)) {
      const nats = places[i]?.[0], under = element("span", { "data-cell": cell }, c === " " ? "\u00a0" : glyph(c));
      if (!known) under.classList.add("play-unread");
      if (nats !== undefined) under.style.setProperty("--play-level", Math.min(1, nats / MOST_NATS).toFixed(3));
      if (nats !== undefined) said.push(`${NAMES[cell]} ${nats.toFixed(2)}`);
      made.append(under);
    }
    const surprise = said.length ? `${said.join(", ")} nats` : known ? "the first, nothing stands before it" : "not in the vocabulary";
    made.setAttribute("aria-label", `${quoted(c)}: ${surprise}`);
    return made;
  }

  function lookAt(i) {
    const before = sentence.slice(Math.max(0, i - 24), i).join("");
    const parts = [element("p", {}, i ? `After “${i > 24 ? "…" : ""}${inline(before)}” comes ${quoted(sentence[i])}.` : `The text begins with ${quoted(sentence[0])}.`)];
    for (const [cell, places] of Object.entries(readings)) {
      if (!places[i]) continue;
      const [nats, likely] = places[i];
      parts.push(element("p", {}, `${NAMES[cell]}: ${nats.toFixed(2)} nats (${percent(Math.exp(-nats))}). Expected: `,
        ...likely.flatMap(([c, p], k) => [k ? ", " : "", element("b", {}, glyph(c)), ` ${percent(p)}`])));
    }
    if (parts.length === 1) parts.push(element("p", {}, vocabulary.has(sentence[i]) ? "Nothing stands before it, so no model expects anything." : "No model knows this character."));
    at("expected").replaceChildren(...parts);
  }

  function listenToReading() {
    const rows = at("rows"), all = () => Array.from(rows.querySelectorAll("[role=option]"));
    const optionOf = (event) => event.target.closest("[role=option]");
    at("sentence").addEventListener("input", () => {
      settings.look = "read";
      readSentence();
      keepAddress();
    });
    rows.addEventListener("mouseover", (event) => optionOf(event) && lookAt(all().indexOf(optionOf(event))));
    rows.addEventListener("click", (event) => optionOf(event)?.focus());
    rows.addEventListener("focusin", (event) => {
      const options = all();
      for (const option of options) option.tabIndex = option === event.target ? 0 : -1;
      lookAt(options.indexOf(event.target));
    });
    rows.addEventListener("keydown", (event) => {
      const options = all(), i = options.indexOf(event.target), last = options.length - 1;
      const goal = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: last }[event.key];
      if (goal === undefined) return;
      event.preventDefault();
      options[Math.max(0, Math.min(last, goal))].focus();
    });
  }

  function showMeans() {
    const rows = Object.entries(readings).map(([cell, places]) => {
      const nats = places.filter(Boolean).map(([n]) => n), usual = content.held_out[cell];
      const mean = nats.length ? (nats.reduce((a, b) => a + b) / nats.length).toFixed(2) : "–";
      return [NAMES[cell], mean, usual.mean.toFixed(2), `${usual.low.toFixed(2)} to ${usual.high.toFixed(2)}`];
    });
    const { pieces } = Object.values(content.held_out)[0];
    at("means").replaceChildren(table(
      `Mean surprise for each character, in nats, beside that of the ${pieces.toLocaleString("en")} held-out pieces of ${content.chunk_length} characters.`,
      ["", "your text", "held-out pieces", "95% of them"], rows));
  }

  // --- Draw two runs

  function listenToDraws() {
    const { rnn, lstm } = content.draws, wins = { rnn: 0, lstm: 0 };
    let draws = 0;
    at("two").disabled = !rnn.length || !lstm.length;
    at("two").addEventListener("click", () => {
      settings.look = "draw";
      const one = (runs) => runs[Math.floor(Math.random() * runs.length)];
      const a = one(rnn), b = one(lstm), difference = Math.abs(a.loss - b.loss);
      draws++;
      let verdict = "no difference";
      if (a.loss !== b.loss) {
        const winner = a.loss < b.loss ? "rnn" : "lstm";
        wins[winner]++;
        verdict = `the ${NAMES[winner]} wins by ${difference.toFixed(4)} nats`;
      }
      const drawn = `RNN, seed ${a.seed}: ${a.loss.toFixed(4)}. LSTM, seed ${b.seed}: ${b.loss.toFixed(4)}.`;
      at("two-said").textContent = `${drawn} Here ${verdict}. After ${counted(draws, "draw")}: RNN ${wins.rnn}, LSTM ${wins.lstm}.`;
      keepAddress();
    });
  }

  // --- all of it

  async function open(address) {
    clearTimeout(keeping);
    readAddress(address);
    showSettings();
    at("sentence").value = settings.text;
    playing = false;
    await begin(settings.written);
    await readSentence();
    held = addressOf();
  }

  // What an address asks for is looked at, now that all of it has its height.
  function goThere() {
    at(at("address").hidden ? settings.look : "address").scrollIntoView({ behavior: "instant" });
  }

  async function follow({ state }) { // Back and Forward, which scroll by themselves, or an address that was typed
    if (state) await open(state);
    else if (location.hash.startsWith(PREFIX)) await open(location.hash).then(goThere);
  }

  async function prepare() {
    if (content.text === null) at("key").remove();
    else at("key").hidden = false;
    at("ramp").append("0 nats", element("span", { class: "play-colour", "aria-hidden": "true" }), `${MOST_NATS} nats and more`);
    showEvidence();
    listenToSettings();
    listenToReading();
    listenToDraws();
    startWorker();
    await ask("begin", content);
    await open(location.hash);
    if (location.hash.startsWith(PREFIX)) goThere();
    addEventListener("popstate", follow);
    live.dataset.ready = "true";
  }

  prepare().catch((error) => show(`this browser does not run them (${error.message})`));
}

document.addEventListener("DOMContentLoaded", play);
