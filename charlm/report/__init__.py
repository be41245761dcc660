"""The report: the notebooks, executed, as one HTML file and one PDF with the same content.

    train what is missing → papermill executes each notebook → what the cells showed is collected into results.json
    → all of it is arranged as one document of plain data → nbconvert makes it the page, typst the PDF

Everything is made in a temporary folder and put in place as one set at the end. When a cell fails there is no report but one line
that names it, and the earlier report stays as it was.

What a notebook shows comes from charlm.show. Its first heading is the title of its chapter, that of the summary the
title of the report, and each `##` asks the question of a section, which a Finding with a heading answers below it. What a
notebook that is executed again shows unchanged is there once. A link such as [Figure](#fig-loss) reads "Figure 3" in the
report. What cells' tags do there:

    hide        leaves a cell out
    fold        what the cell shows is folded away at the end of its section, a heading as a bold line; in the PDF it goes to the
                appendix
    lesson      its code folds in its place, with what it prints
    aside       a side note: what a term of the section means

How a study was made (Provenance) stands in the last chapter, and the models that can be tried in the section `## Try it`.
"""
