// The trained models in the page: a worker that reads, writes and counts, and below it the page's own part. One file, without
// a library and without the network. Text of readers and models reaches the page as text alone.
"use strict";

// ---------------------------------------------------------------------------------------------------------------------
// The worker. It is made from this function's own source, so nothing outside it is known here.

function engine() {
  "use strict";

  // --- random numbers: Philox4x32-10. J. K. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.

  function upperHalf(a, b) { // of the product of two whole numbers of 32 bits
    const b0 = b & 0xffff, b1 = b >>> 16;
    const low = (a & 0xffff) * b0;
    const one = (a >>> 16) * b0 + Math.floor(low / 65536);
    const other = (a & 0xffff) * b1 + (one % 65536);
    return ((a >>> 16) * b1 + Math.floor(one / 65536) + Math.floor(other / 65536)) >>> 0;
  }

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

  // out = weights (rows × columns) · x + bias. Eight rows go together, so that a number of x serves eight times.
  function multiply(weights, bias, x, out) {
    const rows = out.length, n = x.length, whole = rows - (rows % 8);
    for (let r = 0; r < whole; r += 8) {
      const p0 = r * n, p1 = p0 + n, p2 = p1 + n, p3 = p2 + n, p4 = p3 + n, p5 = p4 + n, p6 = p5 + n, p7 = p6 + n;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
      for (let i = 0; i < n; i++) {
        const v = x[i];
        s0 += weights[p0 + i] * v;
        s1 += weights[p1 + i] * v;
        s2 += weights[p2 + i] * v;
        s3 += weights[p3 + i] * v;
        s4 += weights[p4 + i] * v;
        s5 += weights[p5 + i] * v;
        s6 += weights[p6 + i] * v;
        s7 += weights[p7 + i] * v;
      }
      out[r] = s0 + bias[r];
      out[r + 1] = s1 + bias[r + 1];
      out[r + 2] = s2 + bias[r + 2];
      out[r + 3] = s3 + bias[r + 3];
      out[r + 4] = s4 + bias[r + 4];
      out[r + 5] = s5 + bias[r + 5];
      out[r + 6] = s6 + bias[r + 6];
      out[r + 7] = s7 + bias[r + 7];
    }
    for (let r = whole; r < rows; r++) {
      let s = 0;
      for (let i = 0; i < n; i++) s += weights[r * n + i] * x[i];
      out[r] = s + bias[r];
    }
  }

  // A trained model that reads one character at a time.
  class Model {
    constructor(about, size) {
      const { cell, hidden_size: hidden, layers } = about.config;
      const all = floatsOf(bytesOf(about.weights));
      let used = 0;
      const next = (n) => all.subarray(used, (used += n));
      this.hidden = hidden;
      this.size = size;
      this.gates = cell === "lstm" ? 4 * hidden : hidden;
      this.step = cell === "lstm" ? this.lstm : this.rnn;
      this.layers = [];
      for (let layer = 0; layer < layers; layer++) {
        const below = layer ? hidden : size;
        const fromBelow = next(this.gates * below), fromOwn = next(this.gates * hidden);
        const one = next(this.gates), other = next(this.gates);
        const bias = Float64Array.from(one, (b, i) => b + other[i]);
        this.layers.push(layer ? this.joined(fromBelow, fromOwn, bias) : this.first(fromBelow, fromOwn, bias));
      }
      this.head = { weights: next(size * hidden), bias: Float64Array.from(next(size)) };
      this.sums = new Float64Array(this.gates);
      this.logits = new Float64Array(size);
    }

    // A matrix times a one-hot vector is a column of the matrix: the first layer looks it up.
    first(fromBelow, fromOwn, bias) {
      const columns = [];
      for (let id = 0; id < this.size; id++)
        columns.push(Float64Array.from(bias, (b, row) => b + fromBelow[row * this.size + id]));
      return { columns, weights: fromOwn };
    }

    // The layers above read the state below and their own in one product.
    joined(fromBelow, fromOwn, bias) {
      const n = this.hidden, weights = new Float32Array(this.gates * 2 * n);
      for (let row = 0; row < this.gates; row++) {
        weights.set(fromBelow.subarray(row * n, (row + 1) * n), row * 2 * n);
        weights.set(fromOwn.subarray(row * n, (row + 1) * n), row * 2 * n + n);
      }
      return { weights, bias };
    }

    // The state before the first character: of each layer its hidden state, that below it beside it, and its cell state.
    zero() {
      return this.layers.map((layer, i) => {
        const input = new Float64Array((i ? 2 : 1) * this.hidden);
        return { input, own: input.subarray(i ? this.hidden : 0), memory: new Float64Array(this.hidden) };
      });
    }

    copy(state) {
      return this.zero().map((layer, i) => {
        layer.input.set(state[i].input);
        layer.memory.set(state[i].memory);
        return layer;
      });
    }

    // Reads a character: changes the state, and gives the logits of the next one (the same array every time).
    read(id, state) {
      for (let i = 0; i < this.layers.length; i++) {
        const layer = this.layers[i];
        if (i) state[i].input.set(state[i - 1].own);
        multiply(layer.weights, i ? layer.bias : layer.columns[id], state[i].input, this.sums);
        this.step(this.sums, state[i]);
      }
      multiply(this.head.weights, this.head.bias, state[state.length - 1].own, this.logits);
      return this.logits;
    }

    rnn(sums, layer) {
      for (let i = 0; i < this.hidden; i++) layer.own[i] = Math.tanh(sums[i]);
    }

    lstm(sums, layer) {
      const n = this.hidden, { own, memory } = layer;
      for (let i = 0; i < n; i++) {
        const enter = 1 / (1 + Math.exp(-sums[i])), keep = 1 / (1 + Math.exp(-sums[n + i]));
        const leave = 1 / (1 + Math.exp(-sums[3 * n + i]));
        memory[i] = keep * memory[i] + enter * Math.tanh(sums[2 * n + i]);
        own[i] = leave * Math.tanh(memory[i]);
      }
    }
  }

  // --- from logits to a character, as charlm/sampling.py has it

  function likeliestFirst(values) {
    return Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  }

  const sum = (values) => values.reduce((a, b) => a + b, 0);

  // The distribution that temperature, top-k (0: all) and top-p (1: all) make of the logits. Temperature 0: the likeliest.
  function distribution(logits, temperature, topK = 0, topP = 1) {
    let top = 0;
    for (let i = 1; i < logits.length; i++) if (logits[i] > logits[top]) top = i;
    if (temperature === 0) return Float64Array.from(logits, (_, i) => (i === top ? 1 : 0));
    const weights = Float64Array.from(logits, (z) => Math.exp((z - logits[top]) / temperature));
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

  function surpriseOf(logits, id) { // in nats
    const top = logits.reduce((a, b) => Math.max(a, b));
    let total = 0;
    for (const z of logits) total += Math.exp(z - top);
    return Math.log(total) - (logits[id] - top);
  }

  // --- the counting model: interpolated Kneser-Ney, as charlm/ngram.py has it

  class Counting {
    constructor(sequences, order, size) {
      this.order = order;
      this.size = size;
      const room = 1 << Math.ceil(Math.log2(2 + 2 * order * sequences.reduce((n, s) => n + s.length, 0)));
      this.slots = new Int32Array(room); // of a hash table: number of a gram + 1, or 0
      const most = room / 2;
      this.context = new Int32Array(most); // of each gram: the gram without its last character,
      this.last = new Int32Array(most); // that character,
      this.length = new Uint8Array(most);
      this.occurs = new Int32Array(most); // how often it occurs,
      this.precedes = new Int32Array(most); // and how many different characters (or starts) stand before it
      this.grams = 1; // the empty one is number 0
      this.count(sequences);
      this.sumUp();
    }

    // The number of a gram that is one character longer, -1 where there is none, a new one where `make` says so.
    find(context, id, make) {
      const mask = this.slots.length - 1;
      let slot = (Math.imul(context, 0x9e3779b1) ^ Math.imul(id + 1, 0x85ebca6b)) & mask;
      for (let gram; (gram = this.slots[slot] - 1) >= 0; slot = (slot + 1) & mask)
        if (this.context[gram] === context && this.last[gram] === id) return gram;
      if (!make) return -1;
      this.context[this.grams] = context;
      this.last[this.grams] = id;
      this.length[this.grams] = this.length[context] + 1;
      this.slots[slot] = this.grams + 1;
      return this.grams++;
    }

    count(sequences) {
      const started = new Set();
      for (const ids of sequences) {
        let shorter = [0]; // by length, the gram that ends at the character before
        for (let t = 0; t < ids.length; t++) {
          const here = [0];
          for (let length = 1; length <= this.order && length <= t + 1; length++) {
            const known = this.grams;
            const gram = this.find(shorter[length - 1], ids[t], true);
            this.occurs[gram]++;
            if (gram === known && length > 1) this.precedes[here[length - 1]]++;
            if (length === t + 1 && !started.has(gram)) {
              started.add(gram);
              this.precedes[gram]++;
            }
            here.push(gram);
          }
          shorter = here;
        }
      }
    }

    // For every length a discount, and for every context what its grams add up to; once for how often grams occur, once for
    // what stands before them.
    sumUp() {
      this.tables = [this.occurs, this.precedes].map((counts) => {
        const ones = new Float64Array(this.order + 1), twos = new Float64Array(this.order + 1);
        for (let gram = 1; gram < this.grams; gram++) {
          if (counts[gram] === 1) ones[this.length[gram]]++;
          if (counts[gram] === 2) twos[this.length[gram]]++;
        }
        const discount = ones.map((n, i) => (n && twos[i] ? n / (n + 2 * twos[i]) : 0.5));
        const total = new Float64Array(this.grams), spare = new Float64Array(this.grams);
        for (let gram = 1; gram < this.grams; gram++) {
          total[this.context[gram]] += counts[gram];
          spare[this.context[gram]] += discount[this.length[gram]];
        }
        return { counts, discount, total, spare };
      });
    }

    interpolated(table, context, gram, below) {
      if (context < 0 || !(table.total[context] > 0)) return below;
      const seen = gram < 0 ? 0 : table.counts[gram] - table.discount[this.length[gram]];
      return (seen + table.spare[context] * below) / table.total[context];
    }

    // The distribution of the character after these.
    next(ids) {
      const longest = Math.min(this.order - 1, ids.length);
      const contexts = []; // by length
      for (let length = 0; length <= longest; length++) {
        let gram = 0;
        for (let i = ids.length - length; i < ids.length && gram >= 0; i++) gram = this.find(gram, ids[i], false);
        contexts.push(gram);
      }
      const [occurring, preceding] = this.tables;
      return Float64Array.from({ length: this.size }, (_, id) => {
        let p = 1 / this.size;
        for (let length = 0; length <= longest; length++) {
          const gram = contexts[length] < 0 ? -1 : this.find(contexts[length], id, false);
          p = this.interpolated(length === longest ? occurring : preceding, contexts[length], gram, p);
        }
        return p;
      });
    }
  }

  // --- the text that the models learnt from

  class Source {
    constructor(text, ids, chunk) {
      this.text = text;
      this.ids = ids;
      this.chunk = chunk;
      this.words = new Set(wordsIn(text).map(({ word }) => word));
      this.headings = new Set(text.split("\n").filter((line) => /^[^.,;:!?-]+:$/.test(line)));
    }

    isTraining(bits) {
      const bytes = bytesOf(bits);
      return (i) => (bytes[i >> 3] >> (i & 7)) & 1;
    }

    // The training chunks of a run, each with the one character more that is its last target.
    chunks(bits) {
      const training = this.isTraining(bits), found = [];
      for (let i = 0; (i + 1) * this.chunk < this.ids.length; i++)
        if (training(i)) found.push(this.ids.subarray(i * this.chunk, (i + 1) * this.chunk + 1));
      return found;
    }

    // The same as one text: chunks that follow each other run on, and a character that no text has stands between others.
    trainingText(bits, between) {
      const training = this.isTraining(bits), passages = [];
      const characters = Array.from(this.text);
      for (let i = 0; (i + 1) * this.chunk < characters.length; i++) {
        if (!training(i)) continue;
        let end = i + 1;
        while ((end + 1) * this.chunk < characters.length && training(end)) end++;
        passages.push(characters.slice(i * this.chunk, end * this.chunk + 1).join(""));
        i = end;
      }
      return passages.join(between);
    }
  }

  // The words of a text, case-folded, with where they begin and end: letters, their marks, and apostrophes inside.
  function wordsIn(text) {
    const found = [];
    for (const match of text.matchAll(/[\p{L}\p{M}'’]+/gu)) {
      const whole = match[0].replaceAll("’", "'");
      const bare = whole.replace(/^'+|'+$/g, "");
      if (bare) found.push({ word: bare.toLowerCase(), begin: match.index + whole.indexOf(bare), end: match.index + whole.indexOf(bare) + bare.length });
    }
    return found;
  }

  // --- what is asked of the worker

  const COPY = 20; // characters of a passage that is marked
  const SLICE = 40; // milliseconds of work after which others get their turn
  let vocab, ids, order, models = {}, trainingBits = {}, source = null, counting = null;
  const trainingTexts = {}; // by cell: the text that its run learnt from, and marks of its passages of COPY characters

  function begin(content) {
    vocab = Array.from(content.vocab);
    ids = new Map(vocab.map((c, i) => [c, i]));
    for (const [cell, about] of Object.entries(content.models)) {
      models[cell] = new Model(about, vocab.length);
      trainingBits[cell] = about.training;
    }
    if (content.text !== null) {
      const all = Int32Array.from(content.text, (c) => ids.get(c));
      source = new Source(content.text, all, content.chunk_length);
    }
    order = content.order;
  }

  function count() { // when it is first needed
    if (!counting && source && order) {
      const cell = "lstm" in models ? "lstm" : "rnn";
      counting = new Counting(source.chunks(trainingBits[cell]), order, vocab.length);
    }
    return counting;
  }

  // A number for the COPY characters before `end`.
  function hash(characters, end) {
    let number = 0;
    for (let i = end - COPY; i < end; i++) number = Math.imul(number, 0x01000193) ^ characters.charCodeAt(i);
    return Math.imul(number ^ (number >>> 15), 0x85ebca6b) >>> 10;
  }

  function trainingText(cell) {
    if (!trainingTexts[cell]) {
      const text = source.trainingText(trainingBits[cell], "\uffff"), marks = new Uint8Array(2 ** 22);
      for (let end = COPY; end <= text.length; end++) marks[hash(text, end)] = 1;
      trainingTexts[cell] = { text, marks };
    }
    return trainingTexts[cell];
  }

  const writing = {}; // the text that is being written

  function start({ cell, prompt, temperature, topK, topP, seed }) {
    const model = models[cell], state = model.zero();
    const text = Array.from(prompt, (c) => ids.get(c));
    let logits;
    for (const id of text) logits = model.read(id, state);
    Object.assign(writing, { cell, model, state, text, temperature, topK, topP, seed, prompt: text.length });
    writing.next = distribution(logits, temperature, topK, topP);
    writing.copies = { begin: 0, end: 0, found: [] };
  }

  function write(most) {
    const w = writing, since = performance.now();
    let written = 0;
    while (written < most) {
      const id = draw(w.next, uniform(w.seed, 0, w.text.length));
      w.text.push(id);
      w.next = distribution(w.model.read(id, w.state), w.temperature, w.topK, w.topP);
      written++;
      if (performance.now() - since > SLICE) break;
    }
    return { written, milliseconds: performance.now() - since };
  }

  function likeliest(probabilities, n) {
    return likeliestFirst(probabilities).slice(0, n).map((id) => [vocab[id], probabilities[id]]);
  }

  // Passages of COPY characters and more that stand in the training text, as [begin, end]. What was looked at once is not
  // looked at again: `copies` is how far it came.
  function copied(w, written) {
    const { text, marks } = trainingText(w.cell), c = w.copies;
    while (c.end < written.length) { // the longest passage that ends at each character
      c.end++;
      if (c.end - c.begin < COPY) continue;
      if (marks[hash(written, c.end)] && text.includes(written.slice(c.end - COPY, c.end)))
        while (!text.includes(written.slice(c.begin, c.end))) c.begin++;
      else c.begin = c.end - COPY + 1;
      if (c.end - c.begin < COPY) continue;
      const last = c.found.at(-1);
      if (last && last[0] === c.begin) last[1] = c.end;
      else c.found.push([c.begin, c.end]);
    }
    return c.found;
  }

  // The text, and what is marked in it: words that the corpus does not have, copies. All places are of a JavaScript string.
  function looked(w) {
    const text = w.text.map((id) => vocab[id]).join("");
    if (!source) return { text };
    const prompt = w.text.slice(0, w.prompt).map((id) => vocab[id]).join("").length;
    const isNew = ({ word }) => !source.words.has(word);
    const whole = wordsIn(text).filter(({ end }) => end < text.length); // the last one may go on
    const own = whole.filter(({ begin }) => begin >= prompt);
    return { text, prompt, unknown: whole.filter(isNew).map(({ begin, end }) => [begin, end]), words: own.length,
      unknownWords: own.filter(isNew).length, copied: copied(w, text) };
  }

  // --- reading: the surprise at each character, and what was expected in its place. What did not change is not read again.

  const reading = {};

  function read(cell, text, until) {
    const model = models[cell] ?? null, was = (reading[cell] ??= { text: [], places: [], states: [] });
    let same = 0;
    while (same < text.length && same < was.places.length && text[same] === was.text[same]) same++;
    was.text = text;
    was.places.length = was.states.length = same;
    let { state, logits } = same ? was.states[same - 1] : {};
    state = state && model ? model.copy(state) : null;
    for (let i = same; i < text.length; i++) {
      const id = ids.get(text[i]);
      let place = null; // of a character that no model knows, and of the first after it, which nothing stands before
      if (id === undefined) state = logits = null;
      else if (model) {
        if (logits) place = [surpriseOf(logits, id), likeliest(distribution(logits, 1), 5)];
        state ??= model.zero();
        logits = Float64Array.from(model.read(id, state));
      } else {
        let from = i;
        while (from > 0 && ids.has(text[from - 1])) from--;
        if (from < i) {
          const p = count().next(Array.from(text.slice(Math.max(from, i - order + 1), i), (c) => ids.get(c)));
          place = [-Math.log(p[id]), likeliest(p, 5)];
        }
      }
      was.places.push(place);
      was.states.push({ state: state && model.copy(state), logits });
      if (performance.now() > until) break;
    }
    return was.places.length === text.length;
  }

  const answers = {
    begin,
    start(settings) {
      start(settings);
      return answers.more({ most: 0 });
    },
    more({ most }) {
      const done = write(most);
      return { ...done, ...looked(writing), next: likeliest(writing.next, 12), length: writing.text.length - writing.prompt };
    },
    // Of the text's end: the longest passage that stands in the training text, and of the lines that end in a colon the
    // speakers that the corpus has, and all.
    measure({ length }) {
      const w = writing, { text } = looked(w), end = Array.from(text).slice(-length).join("");
      const training = trainingText(w.cell).text;
      let copy = 0;
      for (let a = 0, b = 1; b <= end.length; b++) {
        while (a < b && !training.includes(end.slice(a, b))) a++;
        copy = Math.max(copy, b - a);
      }
      const lines = text.split("\n").slice(1, -1).filter((line) => line.endsWith(":"));
      return { copy, headings: [lines.filter((line) => source.headings.has(line)).length, lines.length] };
    },
    // Until all is read, the answer says so, and the page asks again: so a newer text is never kept waiting.
    read({ text }) {
      const characters = Array.from(text), until = performance.now() + SLICE;
      const cells = [...Object.keys(models), ...(source && order ? ["ngram"] : [])];
      const done = cells.every((cell) => read(cell, characters, until));
      return { done, rows: done ? Object.fromEntries(cells.map((cell) => [cell, reading[cell].places])) : null };
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

  // Characters that act instead of showing are written as their numbers.
  const visible = (text) =>
    text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) =>
      "\n\t\u200c\u200d".includes(c) ? c : `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
  const inline = (text) => visible(text).replaceAll("\n", "↵").replaceAll("\t", "⇥");
  const quoted = (c) => ({ " ": "space", "\n": "end of line" })[c] ?? `“${inline(c)}”`;
  const glyph = (c) => ({ " ": "␣", "\n": "↵" })[c] ?? inline(c);

  // "“é” (U+00E9) at position 5", for each character that no model knows; empty where there is none.
  function unknownIn(text) {
    const first = new Map();
    Array.from(text).forEach((c, i) => vocabulary.has(c) || first.has(c) || first.set(c, i + 1));
    const named = Array.from(first, ([c, i]) => `“${inline(c)}” (U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}) at position ${i}`);
    return named.slice(0, 5).join(", ") + (named.length > 5 ? ` and ${named.length - 5} more` : "");
  }

  // --- the worker, which answers in the order in which it is asked

  const PATIENCE = 30_000; // milliseconds; what takes longest, to count the text, takes seconds
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

  const STEPS = [0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.2, 0.22, 0.24, 0.26, 0.28, 0.3, 0.33, 0.36, 0.4, 0.45, 0.5,
    0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.4, 2.6, 2.8, 3, 3.3, 3.6,
    4, 4.5, 5]; // of the slider, about as far from each other on a logarithmic scale
  const whole = (low, high) => (text) => (/^\d{1,10}$/.test(text) && +text >= low && +text <= high ? +text : null);
  const real = (good) => (text) => (/^\d*\.?\d+$/.test(text) && text.length < 20 && good(+text) ? +text : null);
  const TAKES = {
    cell: (text) => (cells.includes(text) ? text : null),
    prompt: (text) => (text && Array.from(text).length <= 1000 ? text : null),
    temperature: real((t) => t === 0 || (t >= STEPS[0] && t <= STEPS.at(-1))),
    seed: whole(0, 2 ** 32 - 1),
    "top-k": whole(0, vocabulary.size),
    "top-p": real((p) => p > 0 && p <= 1),
    length: whole(1, 5000),
    written: whole(0, 5000), // so many characters of it, and what is read, and what is looked at: of the address alone
    text: (text) => (Array.from(text).length <= 2000 ? text : null),
    look: (text) => (["write", "read", "draw"].includes(text) ? text : null),
  };
  const NEEDS = {
    seed: "Seed: needs a whole number from 0 to 4294967295.",
    "top-k": `Top-k: needs a whole number from 0 to ${vocabulary.size}.`,
    "top-p": "Top-p: needs a number above 0 and at most 1.",
    length: "Characters: needs a whole number from 1 to 5000.",
  };
  const closest = content.temperature.closest.best;
  const DEFAULTS = { cell: cells.at(-1), prompt: content.prompt, temperature: TAKES.temperature(String(closest)) ?? 0.5, seed: 0,
    "top-k": 0, "top-p": 1, length: 300, written: 0, text: content.sentence, look: "write" };
  const settings = { ...DEFAULTS };
  let warm = settings.temperature || 0.5; // the slider's, also while greedy has its place

  function place(t) { // of a temperature on the slider, from 0 to 1
    const next = STEPS.findIndex((step) => step >= t);
    if (next < 0) return 1;
    if (next === 0) return 0;
    const low = Math.log(STEPS[next - 1]), high = Math.log(STEPS[next]);
    return (next - 1 + (Math.log(t) - low) / (high - low)) / (STEPS.length - 1);
  }

  function showSettings() {
    for (const input of at("cells").querySelectorAll("input")) input.checked = input.value === settings.cell;
    at("prompt").value = settings.prompt;
    at("greedy").checked = settings.temperature === 0;
    at("temperature").value = Math.round(place(warm) * (STEPS.length - 1));
    for (const name of ["seed", "top-k", "top-p", "length"]) at(name).value = settings[name];
    showTemperature();
  }

  function showTemperature() {
    const greedy = settings.temperature === 0;
    at("temperature").disabled = greedy;
    at("temperature-shown").textContent = greedy ? "0" : String(warm);
    at("temperature").setAttribute("aria-valuetext", String(warm));
  }

  // --- the slider's evidence

  function showEvidence() {
    const { closest: near, half, cell } = content.temperature, scale = at("scale");
    const put = (left, made) => {
      made.style.left = `${100 * left}%`;
      scale.append(made);
    };
    for (const t of [0.1, 0.2, 0.5, 1, 2, 5]) {
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

  let written = null; // the worker's last answer
  let turn = 0; // a new one with every new beginning: what an older one still awaits comes too late
  let playing = false;
  const PACE = 45; // characters a second

  function showText() {
    const verse = at("verse"), { text, unknown = [], copied = [] } = written, given = Array.from(settings.prompt).join("").length;
    const edges = new Set([0, given, text.length, ...unknown.flat(), ...copied.flat()]);
    const places = Array.from(edges).sort((a, b) => a - b);
    const inside = (ranges, a) => ranges.some(([begin, end]) => begin <= a && a < end);
    const parts = [];
    for (let i = 0; i + 1 < places.length; i++) {
      const [a, b] = [places[i], places[i + 1]];
      let part = document.createTextNode(visible(text.slice(a, b)));
      if (inside(unknown, a)) part = element("u", {}, part);
      if (inside(copied, a)) part = element("mark", {}, part);
      if (a < given) part = element("span", { class: "play-given" }, part);
      parts.push(part);
    }
    verse.replaceChildren(...parts);
    at("bars").replaceChildren(...written.next.slice(0, 10).filter(([, p]) => p > 0).map(([c, p]) => {
      const bar = element("i", { "aria-hidden": "true" });
      bar.style.width = `${100 * p}%`;
      return element("li", {}, element("b", { title: quoted(c) }, glyph(c)), bar, element("span", {}, percent(p)));
    }));
    const over = written.length >= settings.length;
    at("play").textContent = playing ? "Pause" : "Play";
    at("step").disabled = at("end").disabled = over || playing;
    at("play").disabled = over && !playing;
  }

  function summary() {
    const said = [`${counted(written.length, "character")} written`];
    if (written.unknown && written.length) {
      const { words, unknownWords, copied } = written, own = copied.filter(([, end]) => end > written.prompt).length;
      said.push(`${unknownWords} of ${counted(words, "word")} ${unknownWords === 1 ? "is" : "are"} not in the corpus`);
      said.push(`${own ? counted(own, "passage") : "no passage"} of 20 characters and more from the training text`);
    }
    return `${said.join("; ")}.`;
  }

  // What the worker is asked for a new text.
  function request() {
    const { cell, prompt, temperature, seed } = settings;
    return { cell, prompt, temperature, seed, topK: settings["top-k"], topP: settings["top-p"] };
  }

  async function more(most, mine) {
    const answer = await ask("more", { most });
    if (mine !== turn) return false;
    written = answer;
    showText();
    return true;
  }

  // The text from its beginning, and then as many characters as there were.
  async function begin(keep) {
    const mine = ++turn, unknown = unknownIn(settings.prompt);
    const said = !settings.prompt ? "Give at least one character to start from."
      : unknown && `Not in the vocabulary of ${vocabulary.size} characters: ${unknown}. The models cannot read them.`;
    at("prompt-said").textContent = said;
    at("prompt").setAttribute("aria-invalid", Boolean(said));
    at("verse").setAttribute("aria-busy", !said);
    for (const name of ["play", "step", "end", "again", "other"]) at(name).disabled = Boolean(said);
    if (said) {
      playing = false;
      return;
    }
    const answer = await ask("start", request());
    if (mine !== turn) return;
    written = answer;
    showText();
    const end = Math.min(keep, settings.length);
    while (written.length < end) if (!(await more(end - written.length, mine))) return;
    if (playing) await run();
    else rest();
  }

  // Writes at the pace of a reader or at once, until it is paused or at the end.
  async function run(atOnce = still.matches) {
    const mine = turn, from = written.length, since = performance.now();
    playing = true;
    at("verse").setAttribute("aria-busy", true);
    showText();
    while (playing && written.length < settings.length) {
      const due = atOnce ? settings.length : from + 1 + Math.floor(((performance.now() - since) / 1000) * PACE);
      const most = Math.min(due, settings.length) - written.length;
      if (most > 0 && !(await more(most, mine))) return;
      if (!atOnce) await new Promise(requestAnimationFrame);
      if (mine !== turn) return;
    }
    rest();
  }

  async function step() {
    const expected = new Map(written.next);
    if (!(await more(1, turn))) return;
    const c = Array.from(written.text).at(-1);
    rest(`${quoted(c)}, ${expected.has(c) ? percent(expected.get(c)) : "one of the rare ones"}.`);
  }

  // Writing has come to rest: only now a screen reader is told of it.
  function rest(said) {
    playing = false;
    showText();
    at("summary").textContent = said ?? summary();
    at("command").replaceChildren(...command().flatMap((part, i) => [i ? " " : "", element("span", {}, part)]));
    at("verse").setAttribute("aria-busy", false);
    showMeasures();
    keepAddress();
  }

  function changed(name, value) {
    if (settings[name] === value) return;
    settings[name] = value;
    settings.look = "write";
    if (name === "temperature") showTemperature();
    begin(written ? written.length : 0);
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
    at("temperature").addEventListener("input", () => {
      warm = STEPS[at("temperature").value];
      changed("temperature", warm);
    });
    at("greedy").addEventListener("change", () => changed("temperature", at("greedy").checked ? 0 : warm));
    for (const name of ["seed", "top-k", "top-p", "length"])
      at(name).addEventListener("input", () => {
        const value = TAKES[name](at(name).value.trim());
        at(name).setAttribute("aria-invalid", value === null);
        if (value === null) at("summary").textContent = NEEDS[name];
        else changed(name, value);
      });
    at("play").addEventListener("click", () => {
      if (playing) playing = false;
      else run();
    });
    at("step").addEventListener("click", step);
    at("end").addEventListener("click", () => run(true));
    at("again").addEventListener("click", () => again());
    at("other").addEventListener("click", () => {
      settings.seed = (settings.seed + 1) % 2 ** 32;
      at("seed").value = settings.seed;
      again();
    });
    at("copy").addEventListener("click", () => copy(command().join(" "), "The command"));
    at("copy-address").addEventListener("click", () => {
      if (writeAddress()) copy(location.href, "The address");
    });
  }

  function again() {
    settings.look = "write";
    playing = true;
    begin(0);
  }

  // --- the text's measures, beside those of the study

  async function showMeasures() {
    const { drawn, real: of, length } = content.temperature;
    if (!written.unknown || !written.length || !of || !drawn.length) return at("measures").replaceChildren();
    const mine = turn, { copy: longest, headings } = await ask("measure", { length });
    if (mine !== turn) return;
    const t = settings.temperature;
    const near = drawn.reduce((a, b) => (Math.abs(b.temperature - t) < Math.abs(a.temperature - t) ? b : a));
    const share = (p) => (p === null ? "–" : percent(p));
    const size = (n) => (n === null ? "–" : n.toFixed(1));
    const rows = [
      ["real words", written.words ? percent(1 - written.unknownWords / written.words) : "–", share(near.words), share(of.words)],
      [`longest copy in the last ${length} characters`, String(longest), size(near.copied), size(of.copied)],
      ["of the lines that end in a colon, known speakers", headings[1] ? percent(headings[0] / headings[1]) : "–", share(near.headings), share(of.headings)],
    ];
    const head = ["", "this text", `measured at T = ${near.temperature}`, "real text"].map((text, i) =>
      i ? element("th", { scope: "col" }, text) : element("td", {}));
    const body = rows.map(([name, ...values]) => element("tr", {}, element("th", { scope: "row" }, name), ...values.map((v) => element("td", {}, v))));
    at("measures").replaceChildren(element("table", {},
      element("caption", {}, `This text's measures, beside those that the temperature study took of many texts of the ${content.temperature.cell}, nothing cut off, and of real text. There words and speakers were looked up in the rest of the corpus; here in all of it.`),
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  }

  // --- Send it

  const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`; // for a POSIX shell

  function command() { // in parts, within which no line is broken where it can be helped
    const parts = ["python generate.py", "--weights float16", `--run ${content.models[settings.cell].run}`, `--prompt=${shell(settings.prompt)}`,
      `--length ${written?.length || settings.length}`, `--temperature ${settings.temperature}`];
    if (settings["top-k"]) parts.push(`--top-k ${settings["top-k"]}`);
    if (settings["top-p"] < 1) parts.push(`--top-p ${settings["top-p"]}`);
    return [...parts, `--seed ${settings.seed}`];
  }

  async function copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      at("copied").textContent = `${what} is copied.`;
    } catch { // a page opened from a file may not, in some browsers
      at("copied").textContent = copyBySelecting(text) ? `${what} is copied.` : "This browser does not let a page copy: select the text and copy it.";
    }
  }

  function copyBySelecting(text) {
    const field = element("textarea", { class: "play-hidden" }, text), focused = document.activeElement;
    live.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return done;
  }

  const PREFIX = "#play?";
  let keeping = 0;

  function keepAddress() { // browsers allow only so many changes in a while
    clearTimeout(keeping);
    if (touched) keeping = setTimeout(writeAddress, 300);
  }

  let touched = false; // before the reader does anything, the address stays as it is
  live.addEventListener("input", () => (touched = true), true);
  live.addEventListener("click", () => (touched = true), true);

  // It ends in a word of its own: mail and chat drop a full stop from an address's end, and a part that is cut off is missed.
  function writeAddress() {
    clearTimeout(keeping);
    const all = new URLSearchParams({ ...settings, written: written?.length ?? 0, text: at("sentence").value });
    let kept = true;
    try {
      history.replaceState(null, "", PREFIX + all.toString().replaceAll("+", "%20"));
    } catch { // in a frame a page may not, in some browsers
      kept = false;
    }
    at("kept").hidden = at("copy-address").disabled = !kept;
    at("not-kept").hidden = kept;
    return kept;
  }

  function decoded(text) { // null where it cannot be read: a bare plus may have been a space or a plus
    try {
      return text.includes("+") ? null : decodeURIComponent(text);
    } catch {
      return null;
    }
  }

  // What the address asks for; what cannot be read in it, or was cut off, is named, and the default stands.
  function readAddress() {
    if (!location.hash.startsWith(PREFIX)) return false;
    const parts = location.hash.slice(PREFIX.length).split("&").filter(Boolean), bad = new Set();
    if (parts.length && !parts.some((part) => part.startsWith("look="))) bad.add("look");
    Object.assign(settings, DEFAULTS);
    for (const part of parts) {
      const name = part.split("=")[0], text = decoded(part.slice(name.length + 1)), known = Object.hasOwn(TAKES, name);
      const value = known && text !== null ? TAKES[name](text) : null;
      if (value === null) bad.add(known ? name : "a name that is not known");
      else settings[name] = value;
    }
    if (settings.temperature > 0) warm = settings.temperature;
    at("address").hidden = !bad.size;
    at("address").textContent = bad.size ? `Not all of the address can be read (${Array.from(bad).join(", ")}): the default stands in its place.` : "";
    return true;
  }

  // --- Read

  let readings = null; // {cell: places}, each null or [surprise, [[character, probability], …]]
  let sentence = [];
  let reading = 0;
  const MOST_NATS = 6; // the strongest colour

  async function readSentence() {
    const mine = ++reading, text = at("sentence").value, unknown = unknownIn(text);
    at("rows").setAttribute("aria-busy", true);
    at("sentence-said").textContent = unknown ? `Not in the vocabulary of ${vocabulary.size} characters: ${unknown}. There the models stop, and begin anew after it.` : "";
    let answer;
    do answer = await ask("read", { text });
    while (mine === reading && !answer.done);
    if (mine !== reading) return;
    sentence = Array.from(text);
    readings = answer.rows;
    showRows();
    showMeans();
    at("rows").setAttribute("aria-busy", false);
  }

  function showRows() {
    const probe = element("span", { role: "gridcell" }, "m"), header = element("span", { role: "rowheader" }, NAMES.ngram);
    at("rows").replaceChildren(element("div", { class: "play-line" }, element("div", { role: "row" }, header, probe)));
    const free = at("rows").clientWidth - header.getBoundingClientRect().width;
    const room = Math.max(8, Math.floor(free / Math.max(6, probe.getBoundingClientRect().width)));
    const lines = [];
    for (let start = 0; start < sentence.length; start += room) {
      const end = Math.min(sentence.length, start + room);
      const rows = Object.entries(readings).map(([cell, places]) =>
        element("div", { role: "row" }, element("span", { role: "rowheader" }, NAMES[cell]),
          ...sentence.slice(start, end).map((c, i) => cellOf(cell, start + i, c, places[start + i]))));
      lines.push(element("div", { class: "play-line", role: "grid", "aria-label": `Surprise, characters ${start + 1} to ${end}` }, ...rows));
    }
    at("rows").replaceChildren(...lines);
    const first = at("rows").querySelector("[role=gridcell]");
    if (first) first.tabIndex = 0;
    at("expected").replaceChildren(element("p", {}, sentence.length > 1 ? "Point at a character, or go there with the arrow keys: what was expected?" : ""));
  }

  function cellOf(cell, i, c, place) {
    const known = vocabulary.has(c);
    const said = place ? `${place[0].toFixed(2)} nats` : known ? "the first, nothing stands before it" : "not in the vocabulary";
    const made = element("span", { role: "gridcell", tabindex: -1, "aria-label": `${NAMES[cell]}: ${quoted(c)}, ${said}` }, c === " " ? "\u00a0" : glyph(c));
    made.dataset.cell = cell;
    made.dataset.place = i;
    if (!known) made.classList.add("play-unread");
    if (place) made.style.setProperty("--play-level", Math.min(1, place[0] / MOST_NATS).toFixed(3));
    return made;
  }

  const cellAt = (cell, i) => at("rows").querySelector(`[data-cell="${cell}"][data-place="${i}"]`);

  function lookAt(i) {
    for (const made of at("rows").querySelectorAll(".play-here")) made.classList.remove("play-here");
    const before = sentence.slice(Math.max(0, i - 24), i).join("");
    const parts = [element("p", {}, i ? `After “${i > 24 ? "…" : ""}${inline(before)}” comes ${quoted(sentence[i])}.` : `The text begins with ${quoted(sentence[0])}.`)];
    for (const [cell, places] of Object.entries(readings)) {
      cellAt(cell, i)?.classList.add("play-here");
      if (!places[i]) continue;
      const [nats, likely] = places[i];
      parts.push(element("p", {}, element("span", {}, `${NAMES[cell]}: ${nats.toFixed(2)} nats (${percent(Math.exp(-nats))}). Expected: `),
        ...likely.flatMap(([c, p], k) => [k ? ", " : "", element("b", {}, glyph(c)), ` ${percent(p)}`])));
    }
    if (parts.length === 1) parts.push(element("p", {}, vocabulary.has(sentence[i]) ? "Nothing stands before it, so no model expects anything." : "No model knows this character."));
    at("expected").replaceChildren(...parts);
  }

  let telling = 0;

  function listenToReading() {
    at("sentence").addEventListener("input", () => {
      settings.look = "read";
      readSentence();
      keepAddress();
    });
    const rows = at("rows"), cellIn = (event) => event.target.closest?.("[role=gridcell]");
    rows.addEventListener("mouseover", (event) => cellIn(event) && lookAt(+cellIn(event).dataset.place));
    rows.addEventListener("click", (event) => cellIn(event)?.focus());
    rows.addEventListener("focusin", (event) => {
      const cell = cellIn(event);
      if (!cell) return;
      for (const other of rows.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
      cell.tabIndex = 0;
      lookAt(+cell.dataset.place);
      clearTimeout(telling); // a reader who hurries through the text is not told of every character
      telling = setTimeout(() => (at("expected-said").textContent = at("expected").innerText), 700);
    });
    rows.addEventListener("keydown", (event) => {
      const cell = cellIn(event);
      if (!cell) return;
      const all = Object.keys(readings), row = all.indexOf(cell.dataset.cell), i = +cell.dataset.place;
      const goals = { ArrowLeft: [row, i - 1], ArrowRight: [row, i + 1], ArrowUp: [row - 1, i], ArrowDown: [row + 1, i], Home: [row, 0], End: [row, sentence.length - 1] };
      const goal = goals[event.key] && cellAt(all[goals[event.key][0]], goals[event.key][1]);
      if (!goals[event.key]) return;
      event.preventDefault();
      goal?.focus();
    });
    let width = 0;
    new ResizeObserver(() => {
      if (readings && rows.clientWidth !== width) {
        width = rows.clientWidth;
        showRows();
      }
    }).observe(rows);
  }

  function showMeans() {
    const means = Object.entries(readings).map(([cell, places]) => {
      const nats = places.filter(Boolean).map(([n]) => n);
      return [cell, nats.length ? nats.reduce((a, b) => a + b) / nats.length : null, content.held_out[cell]];
    });
    const most = Math.ceil(Math.max(4, ...means.flatMap(([, mean, usual]) => [mean, usual.high])));
    const parts = [], inStrip = (x) => `${(100 * x) / most}%`;
    for (const [cell, mean, usual] of means) {
      const band = element("span", { class: "play-usual" }), middle = element("span", { class: "play-middle" });
      band.style.left = inStrip(usual.low);
      band.style.width = inStrip(usual.high - usual.low);
      middle.style.left = inStrip(usual.mean);
      const strip = element("div", { class: "play-strip", "aria-hidden": "true" }, band, middle);
      if (mean !== null) {
        const own = element("span", { class: "play-own" });
        own.style.left = inStrip(mean);
        strip.append(own);
      }
      parts.push(element("div", { class: "play-mean" }, element("span", {}, NAMES[cell]),
        element("span", {}, mean === null ? "–" : `${mean.toFixed(2)} nats`), strip));
    }
    const usual = Object.values(content.held_out)[0];
    const all = Object.entries(content.held_out).filter(([cell]) => readings[cell]);
    parts.push(element("p", { class: "play-note" },
      `The dot is your text's mean surprise for each character, from 0 to ${most} nats. Beside it the ${usual.pieces.toLocaleString("en")} held-out pieces of ${content.chunk_length} characters: the line is their mean, and 95% of them lie in the band (`
      + all.map(([cell, u]) => `${NAMES[cell]} ${u.mean.toFixed(2)}, ${u.low.toFixed(2)} to ${u.high.toFixed(2)}`).join("; ") + ")."));
    at("means").replaceChildren(...parts);
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
      at("two-all").prepend(element("li", { value: draws }, `seeds ${a.seed} and ${b.seed}: ${verdict}`));
      keepAddress();
    });
  }

  // --- all of it

  async function open() {
    const given = readAddress();
    showSettings();
    at("sentence").value = settings.text;
    await begin(settings.written);
    await readSentence();
    const goal = at("address").hidden ? settings.look : "address";
    if (given) at(goal).scrollIntoView({ behavior: "instant" }); // now all of it has its height
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
    await open();
    addEventListener("hashchange", () => location.hash.startsWith(PREFIX) && open());
    live.dataset.ready = "true";
  }

  prepare().catch((error) => show(`this browser does not run them (${error.message})`));
}

document.addEventListener("DOMContentLoaded", play);
