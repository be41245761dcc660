'use strict'

// Figures enlarge in a dialog. Without this script, their links lead to themselves.
const dialog = document.getElementById('enlarged')
const frame = dialog.querySelector('div')
for (const link of document.querySelectorAll('a.enlarge')) {
  link.setAttribute('aria-haspopup', 'dialog')
  link.addEventListener('click', event => {
    event.preventDefault()
    const image = link.querySelector('img').cloneNode()
    image.src = link.querySelector('img').currentSrc
    frame.replaceChildren(image)
    dialog.showModal()
  })
}
dialog.addEventListener('click', event => {
  if (event.target === dialog) dialog.close()
})

// All code at once.
const all = document.getElementById('all-code')
all.hidden = false
all.addEventListener('click', () => {
  const show = all.getAttribute('aria-pressed') !== 'true'
  all.setAttribute('aria-pressed', show)
  for (const fold of document.querySelectorAll('details.code')) fold.open = show
})

// A figure that goes on to the right fades out there.
function fade({ target }) {
  target.classList.toggle('more', target.scrollLeft + target.clientWidth < target.scrollWidth - 1)
}
const widths = new ResizeObserver(entries => entries.forEach(fade))
for (const link of document.querySelectorAll('a.enlarge')) {
  widths.observe(link)
  link.addEventListener('scroll', fade, { passive: true })
}

// What does not scroll needs no stop for the keyboard.
const sizes = new ResizeObserver(entries => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute('tabindex', 0)
    else target.removeAttribute('tabindex')
  }
})
for (const scroller of document.querySelectorAll('.scroll')) sizes.observe(scroller)

// The contents show where one is: at the last section that begins above the upper third of the window.
const lines = [...document.querySelectorAll('nav li > a')]
const sections = lines.map(line => document.getElementById(line.hash.slice(1)))
function mark() {
  const here = sections.findLastIndex(section => section.getBoundingClientRect().top < innerHeight / 3)
  for (const item of document.querySelectorAll('nav .here')) item.classList.remove('here')
  lines.forEach((line, i) => {
    if (i === here) line.setAttribute('aria-current', 'location')
    else line.removeAttribute('aria-current')
  })
  const above = lines[here]?.closest('nav > ul > li')
  above?.classList.add('here')
  const list = document.querySelector('nav > ul') // one line on a narrow screen
  if (above && list.scrollWidth > list.clientWidth) list.scrollLeft = above.offsetLeft - list.offsetLeft - 20
}
let waiting = false
addEventListener('scroll', () => {
  if (!waiting) requestAnimationFrame(() => { waiting = false; mark() })
  waiting = true
}, { passive: true })
mark()
