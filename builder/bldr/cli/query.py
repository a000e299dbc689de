"""`bldr query`: ask about the target graph."""

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

from bldr.cli.options import add_format_option, add_workspace_options

LANGUAGE = """\
functions:
  deps(x, depth)         all that x needs, itself included; at most depth steps away
  rdeps(universe, x)     all of what universe needs that needs x
  allpaths(a, b)         the targets on all paths from a to b
  somepath(a, b)         one shortest path from a to b
  kind(regex, x)         those whose type and language match: "executable c"
  attr(name, regex, x)   those whose attribute matches
  filter(regex, x)       those whose label matches
  labels(attribute, x)   the targets that an attribute of x names
  tests(x)               those that are tests
operators: a + b (union), a - b (except), a ^ b (intersect); set(//a //b/...); let v = a in deps($v)
patterns:  //pkg:name  //pkg/...  //pkg:all  :name  @source//pkg:name
"""


def add_arguments(parser: ArgumentParser) -> None:
    """The expression."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = LANGUAGE
    parser.add_argument("expression", nargs="*", metavar="EXPRESSION", help="default: //...")
    add_format_option(parser, "dot")
    add_workspace_options(parser)


def run(arguments: Namespace) -> int:
    """Print the answer."""
    from bldr.cli.opening import open_session
    from bldr.graph.query import query
    from bldr.graph.query_syntax import repositories_in
    from bldr.report.query import as_dot, as_json, as_text

    expression = " ".join((*arguments.expression, *arguments.after_dashes)) or "//..."
    with open_session(arguments, "query") as session:
        session.include(repositories_in(expression))
        graph = session.graph
        found = query(graph, expression, session.package)
    if arguments.format == "json":
        sys.stdout.write(as_json(graph, found))
    else:
        sys.stdout.write(as_dot(graph, found) if arguments.format == "dot" else as_text(found))
    return 0
