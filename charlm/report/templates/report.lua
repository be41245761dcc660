-- From the notebooks' Markdown to the report's structure, for HTML and typst alike: the title and what stands under it,
-- sections with a finding for their heading, numbered figures, tables and samples, cross references. What folds away in
-- the page stands in an appendix of the PDF, which has no code.

local html = FORMAT:match 'html' ~= nil
local names = { fig = 'Figure', tbl = 'Table', smp = 'Samples' }
local counts = {} -- "fig" or "fig A" → how many so far
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

local function kind_of(block) return block.t == 'Div' and block.classes[1] or nil end

-- ---------------------------------------------------------------------------------------------------------------------
-- shown things

-- "Figure 3. The caption", from the first block of a shown thing. What is folded away has numbers of its own, A1, A2, …
local function numbered_caption(div, folded)
  local kind = div.identifier:sub(1, 3)
  local series = folded and kind .. ' A' or kind
  counts[series] = (counts[series] or 0) + 1
  labels[div.identifier] = names[kind] .. '\u{a0}' .. (folded and 'A' or '') .. counts[series]
  local caption = pandoc.Inlines { pandoc.Strong(labels[div.identifier] .. '.'), pandoc.Space() }
  caption:extend(pandoc.utils.blocks_to_inlines { div.content[1] })
  return caption
end

local function picture(id, alt, narrow)
  local file = 'figures/' .. id
  local image = '<img src="' .. file .. '.svg" alt="' .. escaped(alt) .. '">'
  if not narrow then return image end
  return '<picture><source media="(max-width: 46rem)" srcset="' .. file .. '-narrow.svg">' .. image .. '</picture>'
end

local function figure(div, caption, section)
  local id, alt = div.identifier:sub(5), div.content[2].text
  local wide, narrow = div.classes:includes 'wide', div.classes:includes 'narrow'
  if not html then
    return wrap('#figure(drawing("figures/' .. id .. '.svg", ' .. quoted(alt) .. '), kind: image, caption: [',
      { pandoc.Plain(caption) }, ']) <' .. div.identifier .. '>')
  end
  local links = ' <span class="links">Data: <a download="' .. id .. '.csv" href="figures/' .. id
    .. '.csv">CSV</a>, <a href="results.json#/figures/' .. id .. '">results.json</a>'
  local code = section.at or section -- the section that has the code
  if #code.code > 0 then links = links .. ' · <a href="#code-' .. code.id .. '">code</a>' end
  return wrap('<figure id="' .. div.identifier .. '" class="figure' .. (wide and ' wide' or '')
    .. (narrow and ' narrow' or '') .. '"><a class="enlarge" href="#' .. div.identifier .. '">'
    .. picture(id, alt, narrow) .. '</a><figcaption>', { pandoc.Plain(caption) }, links .. '</span></figcaption></figure>')
end

-- In a table too wide for the PDF's page, columns of long texts share what the short ones leave.
local PAGE, SHORT, LONGEST, GAP = 112, 20, 40, 2 -- characters; gap: what stands empty between two columns
local function fit(grid)
  local sizes, total, long, left = {}, 0, 0, PAGE
  local function measure(row)
    if #row.cells < #grid.colspecs then return end -- over all columns
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

local icons = { ['✓'] = 'confirmed', ['✗'] = 'refuted', ['≈'] = 'alike', ['?'] = 'close', ['▲'] = 'better', ['–'] = 'unjudged' }

-- A verdict with its icon apart, which is for the eye alone, and its class.
local function verdict(inlines)
  local icon = inlines[1] and icons[pandoc.utils.stringify(inlines[1])]
  if not icon or #inlines < 3 then return inlines end
  local all = pandoc.Inlines { pandoc.Span({ inlines[1] }, { class = 'icon', ['aria-hidden'] = 'true' }) }
  for i = 2, #inlines do all:insert(inlines[i]) end
  return pandoc.Inlines { pandoc.Span(all, { class = 'verdict ' .. icon }) }
end

local function cell_inlines(cell) return pandoc.utils.blocks_to_inlines(cell.contents) end

-- The table with scopes, row headers, verdicts, groups of rows and ids of rows.
local function dressed(grid, attributes)
  local group = tonumber(attributes.groups)
  local heads, sides, head_cells = {}, {}, {}
  for i, cell in ipairs(grid.head.rows[1].cells) do
    heads[i] = pandoc.utils.stringify(cell.contents)
    sides[i] = grid.colspecs[i][1] == 'AlignRight' and 'num' or ''
  end
  local function dress(i, inlines, head, scope)
    local set = { class = sides[i], scope = scope, label = not head and html and heads[i] or nil }
    return pandoc.Cell({ pandoc.Plain(inlines) }, nil, 1, 1, pandoc.Attr('', sides[i] ~= '' and { sides[i] } or {},
      html and { scope = set.scope, ['data-label'] = set.label } or {}))
  end
  local specs = {}
  for i, cell in ipairs(grid.head.rows[1].cells) do
    if i ~= group then
      head_cells[#head_cells + 1] = dress(i, cell_inlines(cell), true, 'col')
      specs[#specs + 1] = html and { 'AlignDefault', nil } or grid.colspecs[i]
    end
  end
  local bodies, ids, number, last = {}, {}, 0, nil
  for id in (attributes.rows or ''):gmatch '%S+' do ids[#ids + 1] = id end
  for _, row in ipairs(grid.bodies[1].body) do
    number = number + 1
    local cells = {}
    for i, cell in ipairs(row.cells) do
      local inlines = cell_inlines(cell)
      if heads[i] == 'verdict' then inlines = verdict(inlines) end
      if i ~= group then cells[#cells + 1] = dress(i, inlines, #cells == 0, #cells == 0 and 'row' or nil) end
    end
    local key = group and pandoc.utils.stringify(row.cells[group].contents)
    if #bodies == 0 or key ~= last then
      last = key
      local head = {}
      if group then
        local inlines = heads[group] == 'verdict' and verdict(cell_inlines(row.cells[group])) or cell_inlines(row.cells[group])
        if not html then inlines = { pandoc.Strong(inlines) } end
        local over = pandoc.Cell({ pandoc.Plain(inlines) }, nil, 1, #specs,
          pandoc.Attr('', { 'group' }, html and { scope = 'rowgroup' } or {}))
        head = { pandoc.Row { over } }
      end
      bodies[#bodies + 1] = { attr = pandoc.Attr(), body = {}, head = head, row_head_columns = html and 1 or 0 }
    end
    local body = bodies[#bodies].body
    body[#body + 1] = pandoc.Row(cells, pandoc.Attr(ids[number] or ''))
    anchors[ids[number] or ''] = true
  end
  return pandoc.Table({ long = {} }, specs, pandoc.TableHead { pandoc.Row(head_cells) }, bodies, pandoc.TableFoot(),
    pandoc.Attr('', group and { 'grouped' } or {}))
end

local function data_table(div, caption)
  local blocks = pandoc.Blocks(div.content)
  blocks:remove(1)
  local grid = dressed(blocks:remove(1), div.attributes)
  if html then -- a wide table scrolls by itself, and by keyboard
    local all = wrap('<figure id="' .. div.identifier .. '" class="table"><figcaption>', { pandoc.Plain(caption) },
      '</figcaption><section class="scroll" tabindex="0" aria-label="' .. labels[div.identifier] .. '">')
    all:extend(wrap('', { grid }, '</section>'))
    if #blocks > 0 then all:extend(wrap('<div class="note">', blocks, '</div>')) end
    all:insert(raw '</figure>')
    return all
  end
  fit(grid)
  grid.identifier, grid.caption = div.identifier, { long = { pandoc.Plain(caption) } }
  local all = pandoc.Blocks { grid }
  all:extend(wrap('#note[', blocks, ']'))
  return all
end

-- The text of a sample as HTML, what was given set off from what was drawn; verse line by line, so that long lines hang.
local function sample_text(text, given, verse)
  local at = utf8.offset(text, given + 1)
  local prompt = escaped(text:sub(1, at - 1)):gsub('[^\n]+', '<b class="prompt">%0</b>')
  local marked = prompt .. escaped(text:sub(at))
  if not verse then return '<pre dir="auto">\n' .. marked .. '</pre>' end
  return '<div class="verse" dir="auto">' .. (marked .. '\n'):gsub('[^\n]*\n', '<span class="line">%0</span>') .. '</div>'
end

local function samples(div, caption)
  local all = pandoc.Blocks {}
  for i = 2, #div.content do
    local item = div.content[i]
    local label, text = item.content[1], item.content[2].text
    local given, verse = tonumber(item.attributes.prompt) or 0, item.classes:includes 'verse'
    if html then
      all:extend(wrap('<div class="sample"><p>', { pandoc.Plain(label.content) },
        '</p>' .. sample_text(text, given, verse) .. '</div>'))
    else
      all:extend(wrap('sample(' .. quoted(text) .. ', ' .. given .. ', ' .. tostring(verse) .. ')[',
        { pandoc.Plain(label.content) }, '],'))
    end
  end
  local columns = div.classes:includes 'columns'
  if html then
    local head = wrap('<figure id="' .. div.identifier .. '" class="samples' .. (columns and ' wide' or '')
      .. '"><figcaption>', { pandoc.Plain(caption) }, '</figcaption><div class="' .. (columns and 'columns' or 'rows') .. '">')
    head:extend(wrap('', all, '</div></figure>'))
    return head
  end
  local head = wrap('#samples[', { pandoc.Plain(caption) }, '] <' .. div.identifier .. '>')
  head:extend(wrap('#sample-' .. (columns and 'columns' or 'rows') .. '(', all, ')'))
  return head
end

-- BibTeX, with a place for the address that the project gets where it is published.
local function cite(div)
  local text = div.content[1].text
  if not html then return pandoc.CodeBlock(text) end
  local place = text:match '\n  url = ' and '' or '<!-- url -->'
  return { raw('<pre class="cite">' .. escaped(text):gsub('\n}$', place .. '\n}') .. '</pre>') }
end

-- The cards lead to sections, which they name by their questions.
local function cards(div, questions)
  local all = pandoc.Blocks {}
  for _, card in ipairs(div.content) do
    local section, drawn = card.attributes.section, card.attributes.figure
    local text, image = pandoc.utils.blocks_to_inlines { card.content[1] }, ''
    if not questions[section] then error('the card ' .. div.identifier .. ' leads to no section: ' .. section, 0) end
    if html and drawn then image = picture(drawn, card.content[2].text) end
    all:extend(wrap(html and '<li>' .. image .. '<p>' or '#card[', { pandoc.Plain(text) },
      html and '</p><p class="more">' or ']['))
    all:extend { pandoc.Plain { pandoc.Link(questions[section], '#' .. section) }, raw(html and '</p></li>' or ']') }
  end
  return html and wrap('<ul class="cards" id="' .. div.identifier .. '">', all, '</ul>') or all
end

-- In the page alone: the PDF has the table of the same claims.
local function tiles(div)
  if not html then return {} end
  local all = pandoc.Blocks {}
  for _, tile in ipairs(div.content) do
    local label = pandoc.utils.blocks_to_inlines { tile.content[1] }
    local judged = verdict(pandoc.utils.blocks_to_inlines { tile.content[2] })
    local inside = pandoc.Inlines { pandoc.Span(label, { class = 'label' }), pandoc.Space() }
    inside:extend(judged)
    all:extend { raw '<li>', pandoc.Plain { pandoc.Link(inside, '#' .. tile.attributes.target) }, raw '</li>' }
  end
  return wrap('<ul class="tiles" id="' .. div.identifier .. '">', all, '</ul>')
end

local shapes = { figure = figure, table = data_table, samples = samples }

-- The blocks of a section with its shown things as they are to look.
local function shaped(blocks, section, questions, folded)
  return pandoc.Blocks(blocks):walk {
    traverse = 'topdown',
    Div = function(div)
      local kind = kind_of(div)
      if shapes[kind] then return shapes[kind](div, numbered_caption(div, folded), section), false end
      if kind == 'cite' then return cite(div), false end
      if kind == 'cards' then return cards(div, questions), false end
      if kind == 'tiles' then return tiles(div), false end
      if kind == 'heading' then
        if not folded then error('the section ' .. section.id .. ' has a second heading', 0) end
        return pandoc.Para { pandoc.Strong(pandoc.utils.blocks_to_inlines(div.content)) }, false
      end
    end,
  }
end

-- ---------------------------------------------------------------------------------------------------------------------
-- sections

-- The document as sections, the first of which is what stands under the title: {level, id, question, heading, answer,
-- text, fold, code}. The sections of the summary stand beside the chapters that follow it.
local function sections_of(blocks)
  local sections, chapters = {}, 0
  local function begin(level, id, question)
    local section = { level = level, id = id, question = question, heading = question, text = pandoc.Blocks {},
      fold = pandoc.Blocks {}, code = pandoc.Blocks {} }
    sections[#sections + 1] = section
    return section
  end
  local section = begin(1, 'report', pandoc.Inlines 'Report')
  -- A heading that is computed comes as a finding.
  blocks = blocks:walk { Div = function(div)
    if kind_of(div) == 'finding' and div.content[1] and div.content[1].t == 'Header' then return div.content end
  end }
  for _, block in ipairs(blocks) do
    local kind = kind_of(block)
    if block.t == 'Header' and block.level <= 2 then
      if block.level == 1 then chapters = chapters + 1 end
      if chapters == 1 and block.level == 1 then -- the title; code may stand before it
        section.question, section.heading = block.content, block.content
      else
        section = begin(chapters > 1 and block.level or 1, block.identifier, block.content)
      end
    else
      if kind == 'code' then
        section.code:extend(block.content)
      elseif kind == 'fold' then
        section.lesson = section.lesson or block.classes:includes 'lesson'
        for _, inside in ipairs(block.content) do
          if kind_of(inside) == 'code' then section.code:extend(inside.content) else section.fold:insert(inside) end
        end
      elseif kind == 'finding' and kind_of(block.content[1] or pandoc.Null) == 'heading' and not section.answer then
        section.id = block.identifier
        section.heading = pandoc.utils.blocks_to_inlines(block.content[1].content)
        section.answer = pandoc.Blocks(block.content)
        section.answer:remove(1)
      else
        section.text:insert(block)
      end
    end
  end
  return sections
end

-- A section that shows nothing is left out: of a study that was not made, or a question that this text does not answer. So is
-- a chapter that has no section left.
local function showing(sections)
  local kept = pandoc.List {}
  local has_sections, has_kept = false, false -- of the chapter that is looked at, from its end
  for i = #sections, 1, -1 do
    local section = sections[i]
    if section.level > 1 then
      local shows = section.answer or #section.text > 0
      if shows then kept:insert(1, section) end
      has_sections, has_kept = true, has_kept or shows
    else
      if has_kept or not has_sections then kept:insert(1, section) end
      has_sections, has_kept = false, false
    end
  end
  return kept
end

local function heading(section)
  local above = section.answer and section.question
  if html then
    local tag = 'h' .. section.level + 1
    local all = wrap('<hgroup><' .. tag .. '>', { pandoc.Plain(section.heading) }, '</' .. tag .. '>')
    if not above then return wrap('<' .. tag .. '>', { pandoc.Plain(section.heading) }, '</' .. tag .. '>') end
    all:extend(wrap('<p class="question">', { pandoc.Plain(above) }, '</p>'))
    all:insert(raw '</hgroup>')
    return all
  end
  local all = pandoc.Blocks { pandoc.Header(section.level, section.heading, pandoc.Attr(section.id)) }
  if above then all:extend(wrap('#question[', { pandoc.Plain(above) }, ']')) end
  return all
end

local function answer(section)
  if not section.answer then return {} end
  return wrap(html and '<div class="answer">' or '#answer[', section.answer, html and '</div>' or ']')
end

local function details(class, summary, blocks, id)
  if #blocks == 0 then return pandoc.Blocks {} end
  local inside = id and wrap('<div id="' .. id .. '">', blocks, '</div>') or blocks
  return wrap('<details class="' .. class .. '"><summary>' .. summary .. '</summary>', inside, '</details>')
end

-- The contents name sections by their questions.
local function contents(sections)
  local lines = {}
  for i, section in ipairs(sections) do
    local link = { pandoc.Plain { pandoc.Link(section.question, '#' .. section.id) } }
    if section.level == 1 then
      lines[#lines + 1] = { item = link, below = {} }
    else
      table.insert(lines[#lines].below, link)
    end
  end
  local items = {}
  for _, line in ipairs(lines) do
    local item = pandoc.Blocks(line.item)
    if #line.below > 0 then item:insert(pandoc.BulletList(line.below)) end
    items[#items + 1] = item
  end
  return pandoc.Blocks { pandoc.BulletList(items) }
end

local function arrange(doc)
  local sections, questions = sections_of(doc.blocks), {}
  local opening = table.remove(sections, 1)
  sections = showing(sections)
  -- The code of screen one and of the heads of chapters folds with that of the section that comes next.
  local all = { opening, table.unpack(sections) }
  for i, section in ipairs(all) do
    local below = all[i + 1]
    if below and (i == 1 or below.level > section.level) then
      section.at = below
      for _, kind in ipairs(i == 1 and { 'fold', 'code' } or { 'code' }) do
        section[kind]:extend(below[kind])
        section[kind], below[kind] = pandoc.Blocks {}, section[kind]
      end
    end
  end
  for _, section in ipairs(sections) do questions[section.id] = section.question end
  local title, boxes = opening.heading, pandoc.Blocks {}
  local figures = pandoc.Blocks {}
  for _, block in ipairs(opening.text) do
    (kind_of(block) == 'aside' and boxes or figures):insert(block)
  end
  doc.meta.title = pandoc.MetaInlines(title)
  doc.meta.pagetitle = pandoc.utils.stringify(title)
  doc.meta.question = opening.answer and pandoc.MetaInlines(opening.question) or nil
  doc.meta.standfirst = opening.answer and pandoc.MetaBlocks(opening.answer) or nil
  doc.meta.opening = pandoc.MetaBlocks(shaped(figures, opening, questions))
  if #boxes > 0 then doc.meta.aside = pandoc.MetaBlocks(boxes) end
  if html then doc.meta.contents = pandoc.MetaBlocks(contents(sections)) end
  local appendix = pandoc.Blocks {}
  doc.blocks = pandoc.Blocks {}
  for _, section in ipairs(sections) do
    local text = shaped(section.text, section, questions, false)
    local fold = shaped(section.fold, section, questions, true)
    anchors[section.id] = true
    if html then doc.blocks:insert(raw('<section id="' .. section.id .. '" class="level' .. section.level .. '">')) end
    doc.blocks:extend(heading(section))
    doc.blocks:extend(answer(section))
    doc.blocks:extend(text)
    if html then
      local summary = section.lesson and 'All of it, step by step' or 'How it was measured, and the numbers'
      local folds = details('how', summary, fold)
      folds:extend(details('code', 'Code', section.code, 'code-' .. section.id))
      if #folds > 0 then doc.blocks:extend(wrap('<div class="folds">', folds, '</div>')) end
      doc.blocks:insert(raw '</section>')
    elseif section.lesson then -- code is left to the other editions
      doc.blocks:insert(pandoc.Para 'The steps, each with its code, stand in the HTML edition and in the notebook.')
    elseif #fold > 0 then
      appendix:extend(wrap('#heading(level: 2, outlined: false)[', { pandoc.Plain(section.heading) }, ']'))
      appendix:extend(fold)
    end
  end
  if #appendix > 0 then
    doc.blocks:insert(pandoc.Header(1, 'Appendix: tables and methods', pandoc.Attr 'appendix'))
    doc.blocks:extend(appendix)
  end
end

-- ---------------------------------------------------------------------------------------------------------------------

local function is_formula(block)
  local only = block and block.t == 'Para' and #block.content == 1 and block.content[1]
  return only and only.t == 'Math' and only.mathtype == 'DisplayMath'
end

-- A formula scrolls where it is too wide for the page, and stays with what introduces it in the PDF.
local function formulas(blocks)
  local all = pandoc.Blocks {}
  for i, block in ipairs(blocks) do
    if html and is_formula(block) then
      all:extend(wrap('<div class="scroll formula" tabindex="0" role="group" aria-label="Formula">',
        { pandoc.Plain(block.content) }, '</div>'))
    elseif not html and block.t == 'Para' and is_formula(blocks[i + 1]) then
      all:extend(wrap('#block(sticky: true)[', { block }, ']'))
    else
      all:insert(block)
    end
  end
  return all
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
  local function note_anchor(element) anchors[element.identifier] = true end
  doc:walk { Header = note_anchor, Div = note_anchor }
  return doc:walk {
    Link = link,
    Blocks = formulas,
    Header = function(header) -- in HTML the title is h1
      header.level = header.level + (html and 1 or 0)
      return header
    end,
  }
end
