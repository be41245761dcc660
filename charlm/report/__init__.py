"""The report: the notebooks, executed, as one HTML file and one PDF with the same content.

    train what is missing → papermill executes each notebook → what the cells showed is collected into results.json
    → nbconvert writes one Markdown document → pandoc makes it HTML, and typst markup that becomes the PDF

Everything is made in build/ and put in place as one set at the end. When a cell fails there is no report but one line
that names it, and the earlier report stays as it was.

What a notebook shows comes from charlm.show; its first heading is the title of its section, that of the summary the
title of the report. Of the cells' tags, `hide` leaves a cell out of the report, and `once` leaves it out where the
notebook is executed again. A link such as [Figure](#fig-loss) reads "Figure 3" in the report.
"""
