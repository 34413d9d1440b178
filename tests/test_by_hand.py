"""Notebook 9's forward pass, taken from its cells, beside transformers' own.

A wrong recipe must be noticed: each mutation below is a line of the notebook changed.
"""

import ast
import itertools
import math
from pathlib import Path

import nbformat
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from helpers import models

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "09_inside_one_step.ipynb"
SAME = 1e-4  # logits no farther apart than this are the same
MUTATIONS = {
    "the scale is missing": (" / math.sqrt(q.shape[-1])", ""),
    "the scale is not a root": ("math.sqrt(q.shape[-1])", "q.shape[-1]"),
    "no mask": ("masked_fill(later, -torch.inf)", "clone()"),
    "a token does not see itself": (".triu(1 + earlier)", ".triu(earlier)"),
    "the next token is seen": (".triu(1 + earlier)", ".triu(2 + earlier)"),
    "the exact GELU": ("gelu(linear", "torch.nn.functional.gelu(linear"),
    "ReLU": ("gelu(linear", "torch.relu(linear"),
    "the norm comes after": (
        'x = x + attention(normal, weights, f"{name}.attn", heads, cache)',
        "x = layer_norm(x + attention(x, weights, f'{name}.attn', heads, cache),"
        " weights, f'{name}.ln_1')",
    ),
    "the stream is normalised, too": (
        "return x + mlp(normal,",
        "return normal + mlp(normal,",
    ),
    "the norms are exchanged": ('f"{name}.ln_2")', 'f"{name}.ln_1")'),
    "no norm at the end": ('x = layer_norm(x, weights, "ln_f")', "pass"),
    "positions are forgotten": (' + weights["wpe.weight"][positions]', ""),
    "one head": ("unflatten(-1, (heads, -1))", "unflatten(-1, (1, -1))"),
}


def recipe(old: str = "", new: str = "") -> dict:
    """The functions of the notebook, by name, one piece of their source exchanged."""
    sources = []
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef):
                    sources.append(ast.get_source_segment(cell.source, node))
    source = "\n\n".join(sources)
    assert source.count(old) == 1 or not old, f"{old} is not in the notebook once"
    found = {"torch": torch, "math": math, "itertools": itertools}
    exec(source.replace(old, new), found)
    return found


def strong(config: GPT2Config) -> GPT2LMHeadModel:
    """A GPT-2 of random weights, none of them small: what is wrong shows."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config).double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.6)
    return model


@pytest.fixture(scope="module")
def small():
    size = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    return strong(GPT2Config(vocab_size=101, **size))


@torch.inference_mode()
def apart(functions: dict, model: GPT2LMHeadModel) -> float:
    """The farthest that the notebook's logits are from transformers'."""
    ids = torch.randint(model.config.vocab_size, (2, 24))
    weights = functions["tensors_of"](model)
    ours = functions["gpt2"](ids, weights, model.config.n_head)
    return (ours - model(ids).logits).abs().max().item()


def test_the_notebooks_model_is_the_librarys(small):
    assert apart(recipe(), small) < SAME


def test_it_is_so_at_the_size_of_gpt2():
    torch.manual_seed(0)
    assert apart(recipe(), GPT2LMHeadModel(GPT2Config()).double().eval()) < SAME


def test_it_is_so_for_the_tiny_model_of_the_series():
    assert apart(recipe(), models.load("tiny").model) < SAME


def test_it_is_so_for_gpt2_itself(gpt2):
    assert apart(recipe(), gpt2.model) < SAME


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_wrong_recipe_is_noticed(what, small, fault):
    wrong = apart(recipe(*MUTATIONS[what]), small)
    assert not wrong < SAME  # NaN, too, is noticed
    fault(f"notebook 9's model: {what}", f"logits {wrong:.2g} apart")


def test_tensors_and_parameters_are_counted_by_hand(small):
    config = small.config
    size = config.vocab_size, config.n_positions, config.n_embd, config.n_layer
    own = recipe()["shapes"](*size)
    real = recipe()["tensors_of"](small)
    assert own == {name: tuple(tensor.shape) for name, tensor in real.items()}
    assert sum(map(math.prod, own.values())) == small.num_parameters()


def test_a_step_on_top_of_the_cache_is_a_step(small):
    functions = recipe()
    weights = functions["tensors_of"](small)
    ids = torch.randint(small.config.vocab_size, (1, 24))
    cache = functions["new_cache"](weights, 4)
    parts = [functions["gpt2"](part, weights, 4, cache) for part in ids.split(7, 1)]
    whole = functions["gpt2"](ids, weights, 4)
    assert (torch.cat(parts, dim=1) - whole).abs().max() < SAME
