"""No module needs itself: the imports of the package form no circle, not even for types."""

from __future__ import annotations

import grimp


def test_imports_form_no_circle():
    graph = grimp.build_graph("andon", cache_dir=None)
    modules = {name for name in graph.modules if not graph.find_children(name)}
    circles = {
        tuple(sorted((one, other)))
        for one in modules
        for other in graph.find_modules_directly_imported_by(one)
        if other in modules and graph.chain_exists(importer=other, imported=one)
    }
    assert not circles
