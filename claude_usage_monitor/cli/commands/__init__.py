"""The commands, one module each, with ``arguments(parser)`` and ``run(options)``.

`live`, `once` and `json_output` are the outputs of the dashboard, each with ``show(request)``.
"""
