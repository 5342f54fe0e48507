package dev.weir.engine;

import java.util.Arrays;
import java.util.function.Consumer;

/** The listeners of an engine. Safe for use by many threads; telling them allocates nothing. */
final class Listeners {
  private static final System.Logger LOGGER = System.getLogger(Listeners.class.getName());

  /** Never changed, but replaced: whoever tells goes on with those of the time when it began. */
  private volatile EngineListener[] listeners = {};

  synchronized void add(EngineListener listener) {
    EngineListener[] more = Arrays.copyOf(listeners, listeners.length + 1);
    more[listeners.length] = listener;
    listeners = more;
  }

  synchronized void remove(EngineListener listener) {
    int index = Arrays.asList(listeners).indexOf(listener);
    if (index >= 0) {
      EngineListener[] fewer = Arrays.copyOf(listeners, listeners.length - 1);
      System.arraycopy(listeners, index + 1, fewer, index, fewer.length - index);
      listeners = fewer;
    }
  }

  boolean isEmpty() {
    return listeners.length == 0;
  }

  /** Calls each; one that throws is removed, and the exception is logged. */
  void tell(Consumer<EngineListener> call) {
    for (EngineListener listener : listeners) {
      try {
        call.accept(listener);
      } catch (VirtualMachineError e) { // such as no memory: not the listener's alone
        throw e;
      } catch (Throwable t) { // code of others, which must not end the engine
        remove(listener);
        LOGGER.log(System.Logger.Level.WARNING, "an engine listener failed and was removed", t);
      }
    }
  }
}
