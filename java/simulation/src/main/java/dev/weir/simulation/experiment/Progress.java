package dev.weir.simulation.experiment;

/** Is told how far an experiment is. Called by several threads at a time. */
public interface Progress {
  /** Nobody is told. */
  Progress NONE =
      new Progress() {
        @Override
        public void planned(long simulations) {}

        @Override
        public void finished(long simulations) {}
      };

  /** So many more simulations will run. */
  void planned(long simulations);

  /** So many more of the planned simulations are done, or turned out not to be needed. */
  void finished(long simulations);
}
