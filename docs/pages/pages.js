// Makes web pages of the Markdown files of the repository: formulas through KaTeX, links between pages, copies of what they link to.
// Fails on a formula that KaTeX refuses or GitHub would garble, and on a link that leads nowhere.
//   node pages.js REPOSITORY KATEX OUTPUT
const fs = require('fs');
const path = require('path');
const [root, katexFolder, output] = process.argv.slice(2).map((p) => path.resolve(p));
const katex = require(path.join(katexFolder, 'katex.js'));
const markdown = require('markdown-it')({html: true});

const problems = [];
let page = '';  // the file that is being read, relative to the repository
let formulas = 0;
const complain = (text) => problems.push(`${page}: ${text}`);

function formula(tex, displayMode) {
  ++formulas;
  try {
    return katex.renderToString(tex, {displayMode, throwOnError: true, strict: 'error'});
  } catch (error) {
    complain(error.message);
    return '';
  }
}

// $...$ as on GitHub: no space inside the dollars, no letter or digit behind them.
markdown.inline.ruler.before('escape', 'formula', (state, silent) => {
  const found = /^\$(?![\s$])((?:[^$\\]|\\[^])*?)(?<!\s)\$(?![\w$])/.exec(state.src.slice(state.pos));
  if (!found) return false;
  // There a backslash before punctuation is an escape of Markdown's and does not reach the formula.
  if (/\\[^A-Za-z\s]/.test(found[1]))
    complain(`$${found[1]}$: GitHub garbles a backslash before punctuation; spell it (\\thinspace, \\lbrace, \\Vert) or use a math block`);
  if (!silent) state.push('formula', '', 0).content = found[1];
  state.pos += found[0].length;
  return true;
});
markdown.renderer.rules.formula = (tokens, i) => formula(tokens[i].content, false);

const plainFence = markdown.renderer.rules.fence;
markdown.renderer.rules.fence = (tokens, i, ...rest) =>
  tokens[i].info === 'math' ? `<p>${formula(tokens[i].content, true)}</p>\n` : plainFence(tokens, i, ...rest);

// Headings get GitHub's anchors.
const slug = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
const textOf = (token) => token.children.map((child) => child.content).join('');
markdown.core.ruler.push('anchors', (state) => {
  const taken = {};
  state.tokens.forEach((token, i) => {
    if (token.type !== 'heading_open') return;
    const name = slug(textOf(state.tokens[i + 1]));
    taken[name] = (taken[name] ?? -1) + 1;
    token.attrSet('id', taken[name] ? `${name}-${taken[name]}` : name);
  });
});

const anchors = {};  // of every page
const links = [];    // to anchors: {from, page, anchor}
const asPage = (file) => file.replace(/\.md$/, '.html');

// What a link becomes on the page; linked files go along.
function target(link) {
  if (/^[a-z]+:/.test(link)) return link;
  const [file, anchor] = link.split('#');
  let full = file ? path.resolve(root, path.dirname(page), file) : path.join(root, page);
  if (!fs.existsSync(full)) {
    complain(`link to ${link}, which is not there`);
    return link;
  }
  if (fs.statSync(full).isDirectory()) {
    if (!fs.existsSync(path.join(full, 'README.md'))) return path.relative(path.join(output, path.dirname(page)), full);
    full = path.join(full, 'README.md');
  }
  const inside = path.relative(root, full);
  if (!inside.endsWith('.md')) {
    const copy = path.join(output, inside);
    fs.mkdirSync(path.dirname(copy), {recursive: true});
    fs.copyFileSync(full, copy);
  }
  if (anchor) links.push({from: page, page: inside, anchor});
  return asPage(path.relative(path.dirname(page), inside)) + (anchor ? `#${anchor}` : '');
}
markdown.core.ruler.push('links', (state) => {
  for (const token of state.tokens)
    for (const child of token.children ?? [])
      for (const attribute of ['href', 'src'])
        if (child.attrGet(attribute)) child.attrSet(attribute, target(decodeURI(child.attrGet(attribute))));
});

const style = `body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.55 system-ui, sans-serif; color: #1f2328 }
pre { background: #f6f8fa; padding: .8rem 1rem; overflow-x: auto } code { font-size: .9em } img { max-width: 100% }
table { border-collapse: collapse; display: block; overflow-x: auto } td, th { border: 1px solid #d1d9e0; padding: .3rem .7rem; text-align: left }
.katex-display { overflow-x: auto; overflow-y: hidden; padding: .2rem 0 } a { color: #0969da }`;

function build(file) {
  page = file;
  const source = fs.readFileSync(path.join(root, file), 'utf8');
  const tokens = markdown.parse(source, {});
  const title = tokens.findIndex((token) => token.type === 'heading_open');
  anchors[file] = new Set(tokens.filter((t) => t.type === 'heading_open').map((t) => t.attrGet('id')));
  if (/^\s*\$\$/m.test(source)) complain('a formula between $$, use a math block');
  const up = path.relative(path.dirname(file), '.') || '.';
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title < 0 ? file : markdown.utils.escapeHtml(textOf(tokens[title + 1]))}</title>
<link rel="stylesheet" href="${up}/katex/katex.min.css"><style>${style}</style>
${markdown.renderer.render(tokens, markdown.options, {})}</html>\n`;
  const to = path.join(output, asPage(file));
  fs.mkdirSync(path.dirname(to), {recursive: true});
  fs.writeFileSync(to, html);
}

const pages = fs.readdirSync(root, {recursive: true})
                  .filter((file) => file.endsWith('.md') && !/^(build|\.)/.test(file));
fs.rmSync(output, {recursive: true, force: true});
pages.forEach(build);
for (const {from, page, anchor} of links)
  if (anchors[page] && !anchors[page].has(anchor)) problems.push(`${from}: link to ${page}#${anchor}, which is not there`);
fs.cpSync(katexFolder, path.join(output, 'katex'), {recursive: true, dereference: true});
problems.forEach((problem) => console.error(problem));
console.log(`${pages.length} pages with ${formulas} formulas in ${output}`);
process.exit(problems.length ? 1 : 0);
