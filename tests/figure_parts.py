"""Whether a figure's parts can be changed and left out as its docstring says."""

import re

import matplotlib.pyplot as plt
import pytest

from bayes_scaling.errors import ModelError


def check_parts(plot, *args, unused=()):
    """Check `visuals` of a plot function: each part that the docstring names is drawn by it.

    Parts in `unused` have nothing to show with these arguments.
    """
    told = plot.__doc__.partition("visuals : ")[2].partition("Returns")[0]
    parts = set(re.findall(r"`(\w+)`", told))
    assert parts

    def artists(visuals):
        plot(*args, visuals=visuals)
        found = plt.gcf().findobj(lambda artist: artist.get_gid() in parts)
        plt.close("all")
        return found

    marked = artists({part: {"gid": part} for part in parts})
    assert {artist.get_gid() for artist in marked} == parts - set(unused)
    assert all(artist.get_visible() for artist in marked)
    plot(*args, visuals=dict.fromkeys(parts, False))
    plt.gcf().canvas.draw()  # a figure without its parts can still be drawn
    plt.close("all")
    with pytest.raises(ModelError, match="the figure has no part 'halo'; its parts are"):
        plot(*args, visuals={"halo": False})
