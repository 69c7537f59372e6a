"""Ways to train that look at the picture, each switched on by its section of `settings.Mechanisms`.

| name | what it does | after |
|---|---|---|
| clipping | the clip range shrinks during the run | GuardReasoner-VL, 2505.11049 |
| perception | rewards a policy that says something else without the image | PAPO, 2507.06448 |
| dependence | weights tokens and trajectories by their dependence on the image | VPPO, 2510.09285 |
| uncertainty | bonus on answers that change when the image is noised | VOGUE, 2510.01444 |
| counterfactuals | evidence masked: not harmful; another region masked: as before | DeFacto, 2509.20912 |
| mixture | weights of the training set's domains, fitted from seed runs | MoDoMoDo, 2505.24871 |

The first four change the trainer (`trainer.trainer_class`), the last two the training set (`training_set.prepared`).
"""
