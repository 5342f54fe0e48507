/**
 * Questions about schedulers, answered by simulations. An {@link
 * dev.weir.simulation.experiment.Experiment} runs in an {@link
 * dev.weir.simulation.experiment.ExperimentContext} and gives an {@link
 * dev.weir.simulation.experiment.ExperimentResult}: tables, plots, and goals met or missed. {@link
 * dev.weir.simulation.experiment.Experiments} lists them.
 */
package dev.weir.simulation.experiment;
