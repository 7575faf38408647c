"""Nodes → closures: the part of the language that decides how fast it is.

    expressions   nodes → functions of a frame giving a value
    names         variables and special names; owning what is changed in place
    elements      resolving a path's members, indexes and methods; following them from a value
    paths         paths by what they start from
    assigning     changing a member in place
    calls         built-ins, components, functions, closures
    statements    nodes → functions of a frame giving a signal
    blocks        sequences, branches, loops; numbering and resuming (§7.5)

Everything known before the program runs (which table a name is in, whether warnings are off,
where an error is reported) is settled here, so the closures only do what depends on data.
"""
