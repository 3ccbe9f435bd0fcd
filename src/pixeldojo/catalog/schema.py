"""What a model is, as the rest of the code sees it.

Owns the shapes: parameters, upstreams, the model. Leaves reading files to `load`, the rules between parameters to
`rules`, prices to `price`, the upstream's words to `bind`, the public texts to `texts`.

The output table
----------------
`Model.output_json` travels to adapters as `Call.output`. Its keys, their exact meaning and the arithmetic over them
are `pixeldojo.core.output_facts`: read it with `OutputFacts.from_json(call.output)` and ask

    facts.kind, facts.roles               image | video | audio | model3d; what each media parameter is for
    facts.count(call.input)               how many files
    facts.encoding(call.input)            file format, sample rate, bit rate
    facts.pixels(call.input, call.files)  width, height (explicit tables, the source's shape, factors, canvases)
    facts.seconds(call.input, call.files), facts.frames_per_second(…), facts.has_sound(…)

so that the catalog and whoever makes the files cannot disagree.
"""
