-- From the notebooks' Markdown to the report's structure, for HTML and typst alike: the title and the summary, numbered
-- figures, tables and samples, cross references, code folded away (HTML) or left out (PDF).

local html = FORMAT:match 'html' ~= nil
local names = { fig = 'Figure', tbl = 'Table', smp = 'Samples' }
local counts = { fig = 0, tbl = 0, smp = 0 }
local labels = {} -- identifier → "Figure 3"
local anchors = {} -- every identifier of the document

local function raw(text) return pandoc.RawBlock(FORMAT, text) end

-- A typst string literal: inside it no text is markup.
local function quoted(text)
  return '"' .. text:gsub('\\', '\\\\'):gsub('"', '\\"'):gsub('\n', '\\n') .. '"'
end

local function escaped(text)
  return (text:gsub('[&<>"]', { ['&'] = '&amp;', ['<'] = '&lt;', ['>'] = '&gt;', ['"'] = '&quot;' }))
end

-- HTML or typst markup around blocks that pandoc writes.
local function wrap(before, blocks, after)
  local all = pandoc.Blocks { raw(before) }
  all:extend(blocks)
  all:insert(raw(after))
  return all
end

-- "Figure 3. The caption", from the first block of a shown thing. Numbers go by the order of the document.
local function numbered_caption(div)
  local kind = div.identifier:sub(1, 3)
  counts[kind] = counts[kind] + 1
  labels[div.identifier] = names[kind] .. '\u{a0}' .. counts[kind]
  local caption = pandoc.Inlines { pandoc.Strong(labels[div.identifier] .. '.'), pandoc.Space() }
  caption:extend(pandoc.utils.blocks_to_inlines { div.content[1] })
  return caption
end

local function figure(div, caption)
  local file = 'figures/' .. div.identifier:sub(5) .. '.svg'
  local alt = div.content[2].text
  if html then
    return wrap('<figure id="' .. div.identifier .. '" class="figure"><img src="' .. file .. '" alt="'
      .. escaped(alt) .. '"><figcaption>', { pandoc.Plain(caption) }, '</figcaption></figure>')
  end
  return wrap('#figure(image("' .. file .. '", alt: ' .. quoted(alt) .. '), kind: image, caption: [',
    { pandoc.Plain(caption) }, ']) <' .. div.identifier .. '>')
end

-- In a table too wide for the PDF's page, columns of long texts share what the short ones leave.
local PAGE, SHORT, LONGEST, GAP = 100, 20, 40, 2 -- characters; gap: what stands empty between two columns
local function fit(grid)
  local sizes, total, long, left = {}, 0, 0, PAGE
  local function measure(row)
    for i, cell in ipairs(row.cells) do
      local size = utf8.len(pandoc.utils.stringify(cell.contents)) or 0
      sizes[i] = math.max(sizes[i] or 4, math.min(size, LONGEST))
    end
  end
  for _, row in ipairs(grid.head.rows) do measure(row) end
  for _, body in ipairs(grid.bodies) do
    for _, row in ipairs(body.body) do measure(row) end
  end
  for _, size in ipairs(sizes) do
    total = total + size + GAP
    if size > SHORT then long = long + size else left = left - size - GAP end
  end
  if total <= PAGE or long == 0 or left < SHORT then return end
  for i, spec in ipairs(grid.colspecs) do
    if sizes[i] > SHORT then spec[2] = left / PAGE * sizes[i] / long end
    grid.colspecs[i] = spec
  end
end

local function data_table(div, caption)
  local blocks = pandoc.Blocks(div.content)
  blocks:remove(1)
  local grid = blocks:remove(1)
  if html then -- a wide table scrolls by itself, and by keyboard
    local all = wrap('<figure id="' .. div.identifier .. '" class="table"><figcaption>', { pandoc.Plain(caption) },
      '</figcaption><section class="scroll" tabindex="0" aria-label="' .. labels[div.identifier] .. '">')
    all:extend(wrap('', { grid }, '</section>'))
    all:extend(wrap('<div class="note">', blocks, '</div></figure>'))
    return all
  end
  fit(grid)
  grid.identifier, grid.caption = div.identifier, { long = { pandoc.Plain(caption) } }
  local all = pandoc.Blocks { grid }
  all:extend(wrap('#note[', blocks, ']'))
  return all
end

local function samples(div, caption)
  local all = pandoc.Blocks {}
  for i = 2, #div.content do
    local label, code = div.content[i].content[1], div.content[i].content[2]
    if html then
      all:extend(wrap('<div class="sample"><p>', { pandoc.Plain(label.content) },
        '</p><pre dir="auto">\n' .. escaped(code.text) .. '</pre></div>'))
    else
      all:extend(wrap('#sample(' .. quoted(code.text) .. ')[', { pandoc.Plain(label.content) }, ']'))
    end
  end
  if html then
    local head = wrap('<figure id="' .. div.identifier .. '" class="samples"><figcaption>',
      { pandoc.Plain(caption) }, '</figcaption>')
    head:extend(wrap('', all, '</figure>'))
    return head
  end
  local head = wrap('#samples[', { pandoc.Plain(caption) }, '] <' .. div.identifier .. '>')
  head:extend(all)
  return head
end

-- A fold of code; in the PDF, nothing.
local function fold(blocks)
  if not html or #blocks == 0 then return {} end
  return wrap('<details class="code"><summary>Code</summary>', blocks, '</details>')
end

local shapes = { figure = figure, table = data_table, samples = samples }

local function shape(div)
  local kind = div.classes[1]
  if kind == 'pdf' then return html and {} or div.content, false end
  if shapes[kind] then return shapes[kind](div, numbered_caption(div)), false end
end

-- The first heading is the title; what comes before the second, in the first notebook, is the summary. Code is folded
-- after what it shows, together with the silent code before it; the summary's comes at its end.
local function arrange(doc)
  local title, summary, rest, code = nil, nil, pandoc.Blocks {}, pandoc.Blocks {}
  for _, block in ipairs(doc.blocks) do
    local is_code = block.t == 'Div' and block.classes[1] == 'code'
    local is_end = is_code and block.classes[2] == 'end' -- of a cell that shows something; without content, of a notebook
    if block.t == 'Header' and not title then
      title = block.content
    else
      if is_code then code:extend(block.content) end
      if not summary and (block.t == 'Header' or is_end and #block.content == 0) then
        rest:extend(fold(code))
        summary, rest, code = rest, pandoc.Blocks {}, pandoc.Blocks {}
      elseif summary and is_end then
        rest:extend(fold(code))
        code = pandoc.Blocks {}
      end
      if not is_code then rest:insert(block) end
    end
  end
  title = title or pandoc.Inlines 'Report'
  doc.meta.title = pandoc.MetaInlines(title)
  doc.meta.pagetitle = pandoc.utils.stringify(title)
  doc.blocks = wrap(html and '<div id="summary">' or '#summary[', summary or {}, html and '</div>' or ']\n#contents')
  doc.blocks:extend(rest)
end

local function link(element)
  local anchor = element.target:match '^#(.*)'
  if anchor and labels[anchor] then
    element.content = pandoc.Inlines(labels[anchor])
    return element
  elseif anchor and not anchors[anchor] then
    error('the link to #' .. anchor .. ' leads nowhere: no cell shows it', 0)
  end
end

function Pandoc(doc)
  -- What an author or a text writes in HTML is shown as it is written: it would not reach the PDF, and may be hostile.
  doc = doc:walk {
    RawInline = function(element) return pandoc.Str(element.text) end,
    RawBlock = function(element) return pandoc.CodeBlock(element.text) end,
    Image = function(element) error('the image ' .. element.src .. ' is no Figure: nothing is fetched', 0) end,
  }
  arrange(doc)
  doc = doc:walk { traverse = 'topdown', Div = shape }
  doc:walk { Header = function(header) anchors[header.identifier] = true end }
  return doc:walk {
    Link = link,
    Header = function(header) -- in HTML the title is h1
      header.level = header.level + (html and 1 or 0)
      return header
    end,
  }
end
