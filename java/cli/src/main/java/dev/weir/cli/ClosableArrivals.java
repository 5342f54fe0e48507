package dev.weir.cli;

import dev.weir.simulation.Arrival;
import java.io.IOException;
import java.util.Iterator;

/** Arrivals that may come from an open file. */
interface ClosableArrivals extends Iterator<Arrival>, AutoCloseable {
  @Override
  void close() throws IOException;
}
