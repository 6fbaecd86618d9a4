"""The power law of −log accuracy, through a loss with an irreducible part."""

from bayes_scaling.laws._routes import IRREDUCIBLE_SHARE, LOSS_E, POWER, ThroughLoss
from bayes_scaling.laws.base import LOSS_LEVEL, LOSS_SCATTER
from bayes_scaling.laws.power_law import LAW as DIRECT


class LossPowerLaw(ThroughLoss):
    """L = loss_E + R·C^−a, −log Q' = K·(L − loss_E)^κ."""

    name = "loss_power_law"
    equation = "L = loss_E + R C^-a;  -log Q' = K (L - loss_E)^kappa"
    source = "this project; the link of power_law behind the loss of Hoffmann et al. 2022, eq. 10"
    direct = DIRECT
    loss_parameters = (LOSS_LEVEL, IRREDUCIBLE_SHARE, POWER, LOSS_SCATTER)
    parameters = (*DIRECT.parameters, *loss_parameters)
    constants = (*DIRECT.constants, LOSS_E)


LAW = LossPowerLaw()
