# Four viscoelastic elements under the same strain: Zener, Wiechert and Burgers elements carry viscous strains of their
# own, each in an implicit solve with its own solver and start (linear and constant extrapolation, and the last value
# of the unknown itself); a Kelvin-Voigt element needs the strain rate alone. The stress is their weighted sum.
# Units: MPa, s.

[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.tensor([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.5]))'
  []
  # Load, relax, unload.
  [load]
    type = Python
    expr = 'torch.tensor([0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.2])'
  []
  [amplitudes]
    type = Python
    expr = '1e-2 * torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                                 [0.5, 0.5, 0.5, 0.0, 0.8, 0.0],
                                 [0.0, -0.7, 0.7, 1.2, 0.0, -0.4]])'
  []
  [strains]
    type = Python
    expr = 'SR2(load[:, None, None] * amplitudes)'
  []
[]

[Models]
  # --- Zener
  [zener]
    type = ZenerElement
    strain = 'strain'
    viscous_strain = 'zener_strain'
    stress = 'zener_stress'
    equilibrium_modulus = 400
    maxwell_modulus = 900
    maxwell_viscosity = 1500
  []
  [integrate_zener]
    type = SR2BackwardEulerTimeIntegration
    variable = 'zener_strain'
  []
  [zener_residual]
    type = ComposedModel
    models = 'zener integrate_zener'
  []
  [zener_predictor]
    type = LinearExtrapolationPredictor
    unknowns_SR2 = 'zener_strain'
  []
  [zener_update]
    type = ImplicitUpdate
    equation_system = 'zener_system'
    solver = 'newton'
    predictor = 'zener_predictor'
  []
  # --- Wiechert
  [wiechert]
    type = WiechertElement
    strain = 'strain'
    viscous_strain_1 = 'wiechert_strain_1'
    viscous_strain_2 = 'wiechert_strain_2'
    stress = 'wiechert_stress'
    equilibrium_modulus = 200
    modulus_1 = 700
    viscosity_1 = 350
    modulus_2 = 500
    viscosity_2 = 4000
  []
  [integrate_wiechert_1]
    type = SR2BackwardEulerTimeIntegration
    variable = 'wiechert_strain_1'
  []
  [integrate_wiechert_2]
    type = SR2BackwardEulerTimeIntegration
    variable = 'wiechert_strain_2'
  []
  [wiechert_residual]
    type = ComposedModel
    models = 'wiechert integrate_wiechert_1 integrate_wiechert_2'
  []
  [wiechert_predictor]
    type = ConstantExtrapolationPredictor
    unknowns_SR2 = 'wiechert_strain_1 wiechert_strain_2'
  []
  [wiechert_update]
    type = ImplicitUpdate
    equation_system = 'wiechert_system'
    solver = 'newton_with_search'
    predictor = 'wiechert_predictor'
  []
  # --- Burgers
  [burgers]
    type = BurgersElement
    strain = 'strain'
    maxwell_viscous_strain = 'burgers_maxwell_strain'
    kelvin_voigt_strain = 'burgers_kelvin_strain'
    maxwell_viscous_strain_rate = 'burgers_maxwell_strain_rate'
    kelvin_voigt_strain_rate = 'burgers_kelvin_strain_rate'
    stress = 'burgers_stress'
    maxwell_modulus = 1200
    maxwell_viscosity = 9000
    kelvin_modulus = 800
    kelvin_viscosity = 1000
  []
  [integrate_burgers_maxwell]
    type = SR2BackwardEulerTimeIntegration
    variable = 'burgers_maxwell_strain'
  []
  [integrate_burgers_kelvin]
    type = SR2BackwardEulerTimeIntegration
    variable = 'burgers_kelvin_strain'
  []
  [burgers_residual]
    type = ComposedModel
    models = 'burgers integrate_burgers_maxwell integrate_burgers_kelvin'
  []
  [burgers_update]
    type = ImplicitUpdate
    equation_system = 'burgers_system'
    solver = 'loose_newton'
  []
  # --- Kelvin-Voigt and the sum
  [strain_rate]
    type = SR2VariableRate
    variable = 'strain'
  []
  [kelvin_voigt]
    type = KelvinVoigtElement
    strain = 'strain'
    stress = 'kelvin_voigt_stress'
    modulus = 300
    viscosity = 120
  []
  [stress]
    type = SR2LinearCombination
    from = 'zener_stress wiechert_stress burgers_stress kelvin_voigt_stress'
    weights = '0.4 0.3 0.2 0.1'
    to = 'stress'
  []
  [model]
    type = ComposedModel
    models = 'zener_update zener wiechert_update wiechert burgers_update burgers strain_rate kelvin_voigt stress'
    additional_outputs = 'zener_strain wiechert_strain_1 wiechert_strain_2 burgers_maxwell_strain burgers_kelvin_strain'
  []
[]

[EquationSystems]
  [zener_system]
    type = NonlinearSystem
    model = 'zener_residual'
    unknowns = 'zener_strain'
  []
  [wiechert_system]
    type = NonlinearSystem
    model = 'wiechert_residual'
    unknowns = 'wiechert_strain_1 wiechert_strain_2'
  []
  [burgers_system]
    type = NonlinearSystem
    model = 'burgers_residual'
    unknowns = 'burgers_maxwell_strain burgers_kelvin_strain'
  []
[]

[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-12
    rel_tol = 1e-11
    max_its = 10
  []
  [newton_with_search]
    type = NewtonWithLineSearch
    linear_solver = 'lu'
    max_linesearch_iterations = 4
    abs_tol = 1e-13
    rel_tol = 1e-12
    max_its = 12
  []
  [loose_newton]
    type = Newton
    linear_solver = 'lu'
    abs_tol = 1e-11
    rel_tol = 1e-9
    max_its = 5
  []
  [lu]
    type = DenseLU
  []
[]

[Drivers]
  [driver]
    type = TransientDriver
    model = 'model'
    prescribed_time = 'times'
    prescribed_SR2_names = 'strain'
    prescribed_SR2_values = 'strains'
  []
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold/result.pt'
  []
[]
