"""Names that other libraries do not promise to keep. No other file uses them.

The fast sampler hands nutpie machine code of its own, and keeps it on disk through PyTensor's
cache. For that it needs parts of nutpie, PyTensor, numba and PyMC that are not in their
documentation. When one of them moves, importing this file or the self-check of
:mod:`bayes_scaling.inference.program` fails. Posteriors are then sampled by
`nutpie.compile_pymc_model`, or else by `pm.sample`: see
:mod:`bayes_scaling.inference.samplers`. A test breaks each name in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba.core.ccallback import CFunc
from nutpie.compile_pymc import CompiledPyMCModel, address_as_void_pointer
from pymc.logprob.utils import local_remove_check_parameter
from pymc.pytensorf import rewrite_pregrad
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import get_mode
from pytensor.gradient import DisconnectedType
from pytensor.graph.traversal import io_toposort
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key
from pytensor.scalar.basic import ScalarInnerGraphOp, ScalarOp
from pytensor.scalar.math import GammaLn, tri_gamma

__all__ = [
    "CACHED_SRC_FUNCTIONS",
    "CFunc",
    "DisconnectedType",
    "GammaLn",
    "OpFromGraph",
    "ScalarInnerGraphOp",
    "ScalarOp",
    "address_as_void_pointer",
    "as_nutpie_model",
    "io_toposort",
    "jitted",
    "numba_mode",
    "register_funcify_and_cache_key",
    "rewrite_pregrad",
    "tri_gamma",
]


def numba_mode() -> Any:
    """Return PyTensor's numba mode without the steps that cost more to compile than they save.

    These are work in place, and PyMC's checks of parameters: an invalid parameter gives no
    finite density anyway.
    """
    mode = get_mode("NUMBA").excluding("inplace", "local_greedy_distributor")
    return mode.including(local_remove_check_parameter.name)


def jitted(function: Any) -> Any:
    """Return what numba has made of a PyTensor function."""
    return function.vm.jit_fn


def as_nutpie_model(
    density: Any,
    expand: Any,
    start: Any,
    kept: Mapping[str, Any],
    places: Any,
    size: int,
    name: str,
) -> Any:
    """Return a model that :func:`nutpie.sample` takes, of machine code in its C signature.

    Parameters
    ----------
    density, expand : CFunc
        Log density with gradient, and what turns a point into what is stored.
    start : callable
        Returns a starting point for a seed.
    kept : mapping
        Arrays that must live as long as the model.
    places : numpy.ndarray
        Their addresses and lengths, which the machine code reads.
    size : int
        Elements of a point.
    name : str
        Name of the stored point.
    """
    return CompiledPyMCModel(
        dims={},
        compiled_logp_func=density,
        compiled_expand_func=expand,
        initial_point_func=start,
        shared_data=dict(kept),
        shared_var_keys={},
        user_data=np.asarray(places),
        n_expanded=size,
        shape_info=([name], [slice(0, size)], [(size,)]),
        logp_func=None,
        expand_func=None,
        _n_dim=size,
        _shapes={name: (size,)},
        _coords={},
    )
