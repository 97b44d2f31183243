"""The live screen: one for real, simulated and emulated packs.

view.py     what is known of a pack, for whoever draws
draw.py     the overview, as rich draws it; knows no terminal
pages.py    the other pages as tables of words
source.py   where it comes from: a pack on a port; `make run` has another source, the bench
app.py      the program around it (textual)
leave.py    how it ends: told to, or its terminal gone
"""
