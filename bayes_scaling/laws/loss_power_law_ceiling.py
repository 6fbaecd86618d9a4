"""The power law with a ceiling, through a loss with an irreducible part."""

from bayes_scaling.laws._routes import IRREDUCIBLE_SHARE, LOSS_E, POWER, ThroughLoss
from bayes_scaling.laws.base import LOSS_LEVEL, LOSS_SCATTER
from bayes_scaling.laws.power_law_ceiling import LAW as DIRECT


class LossPowerLawCeiling(ThroughLoss):
    """L = loss_E + R·C^−a, −log Q' = K·(L − loss_E)^κ + E."""

    name = "loss_power_law_ceiling"
    equation = "L = loss_E + R C^-a;  -log Q' = K (L - loss_E)^kappa + E"
    source = "this project; power_law_ceiling behind the loss of Hoffmann et al. 2022, eq. 10"
    direct = DIRECT
    loss_parameters = (LOSS_LEVEL, IRREDUCIBLE_SHARE, POWER, LOSS_SCATTER)
    parameters = (*DIRECT.parameters, *loss_parameters)
    constants = (*DIRECT.constants, LOSS_E)
    ceiling = DIRECT.ceiling


LAW = LossPowerLawCeiling()
