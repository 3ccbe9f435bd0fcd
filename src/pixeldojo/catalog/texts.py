"""The catalog as the public API shows it: items, details, the filtered list.

Owns the members of GET /models and GET /models/{id} that come from the catalog. Leaves prices to `price`, schemas to
`request_schema`, and everything of HTTP to the API.
"""

from collections.abc import Iterable, Sequence

from pixeldojo.catalog.conditions import describe, joined
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price import credit_cost_json
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.json_types import JsonObject, JsonValue

_MODALITIES = ("image", "video")


def capabilities(model: Model) -> tuple[str, ...]:
    """Return what the model can do: its task, and what its inputs and features add.

    A text-to-video model that takes a first frame also does `image-to-video`, one that takes reference pictures
    `reference-to-video`. `Editing` adds `image-edit` where the model takes a picture to edit, `LoRA` adds `lora`
    where it takes LoRA files, `Audio` adds `audio`. A feature the model has no input for adds nothing: the original
    lists features by family.
    """
    roles = set(model.output.roles.values())
    found: list[str] = [model.task]
    if model.task == "text-to-video":
        found += ["image-to-video"] if "start_image" in roles else []
        found += ["reference-to-video"] if "reference_images" in roles else []
    if "Editing" in model.features and "source_image" in roles:
        found.append("image-edit")
    if "LoRA" in model.features and any(parameter.name.startswith("lora") for parameter in model.parameters):
        found.append("lora")
    if "Audio" in model.features:
        found.append("audio")
    return tuple(dict.fromkeys(found))


def model_item(model: Model) -> dict[str, JsonValue]:
    """Return a model as it stands in the list."""
    return {
        "apiId": model.id,
        "name": model.name,
        "description": model.description,
        "modality": model.section,
        "capabilities": list(capabilities(model)),
        "features": list(model.features),
        "useCases": list(model.use_cases),
        "creditCost": credit_cost_json(model),
        "sandboxOnly": model.sandbox_only is not None,
    }


def model_detail(model: Model) -> dict[str, JsonValue]:
    """Return a model as it is shown alone: the item, its parameters, its schema and what comes out."""
    return {
        **model_item(model),
        "outputKind": model.output.kind,
        "parameters": [parameter_json(parameter) for parameter in model.parameters],
        "requestSchema": model.request_schema,
    }


def parameter_json(parameter: Parameter) -> JsonObject:
    """Return one parameter: what it is, its limits, its default."""
    shown: dict[str, JsonValue] = {
        "name": parameter.name,
        "type": parameter.type,
        "required": parameter.required,
        "description": parameter.description,
    }
    optional: dict[str, JsonValue] = {
        "default": parameter.default,
        "enum": list(parameter.enum) if parameter.enum is not None else None,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "multipleOf": parameter.multiple_of,
        "minLength": parameter.min_length,
        "maxLength": parameter.max_length,
        "minItems": parameter.min_items,
        "maxItems": parameter.max_items,
        "media": parameter.media,
        "appliesWhen": describe(parameter.applies_when) if parameter.applies_when else None,
        "fields": [parameter_json(member) for member in parameter.fields] or None,
    }
    return shown | {key: value for key, value in optional.items() if value is not None}


def list_models(
    catalog: Catalog,
    *,
    modality: str | None = None,
    capability: str | None = None,
    use_case: str | None = None,
    q: str | None = None,
    detailed: bool = False,
) -> dict[str, JsonValue]:
    """Return the models that pass every filter given, with counts of what is returned.

    Args:
        catalog: Where to look.
        modality: `image` or `video`.
        capability: A task or one of the words of `capabilities`, case ignored.
        use_case: One of the use cases, case ignored.
        q: Words that must all occur in id, name, description, features or use cases, case ignored.
        detailed: Whether each model comes with parameters and schema.

    Raises:
        ValidationError: for a filter value that no model could match; the message lists the values.
    """
    models = catalog.models
    _require("modality", modality, _MODALITIES)
    _require("capability", capability, sorted({word for model in models for word in capabilities(model)}))
    _require("use_case", use_case, sorted({case for model in models for case in model.use_cases}))
    found = [model for model in models if _passes(model, modality, capability, use_case, q)]
    return {
        "models": [model_detail(model) if detailed else model_item(model) for model in found],
        "total": len(found),
        "imageCount": sum(model.section == "image" for model in found),
        "videoCount": sum(model.section == "video" for model in found),
    }


def _passes(model: Model, modality: str | None, capability: str | None, use_case: str | None, q: str | None) -> bool:
    return (
        (modality is None or model.section == modality.lower())
        and (capability is None or capability.lower() in capabilities(model))
        and (use_case is None or use_case.lower() in model.use_cases)
        and _matches(model, (q or "").lower().split())
    )


def _matches(model: Model, words: Iterable[str]) -> bool:
    text = " ".join((model.id, model.name, model.description, *model.features, *model.use_cases)).lower()
    return all(word in text for word in words)


def _require(name: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value.lower() not in known:
        message = f"{name} must be one of {joined(known, 'or')}."
        raise ValidationError(message, details=[Violation(name, message)])
