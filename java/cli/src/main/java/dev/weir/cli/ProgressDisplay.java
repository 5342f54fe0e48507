package dev.weir.cli;

import java.io.Console;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * Progress with speed and time left on standard error: a bar where somebody watches, a plain line
 * every few seconds where the output goes into a file, or nothing. Thread-safe.
 */
final class ProgressDisplay implements AutoCloseable {
  private static final int BAR_WIDTH = 110;
  private static final int BAR_MILLIS = 200;
  private static final int LINE_MILLIS = 5_000;

  private final ProgressBar bar;

  private ProgressDisplay(ProgressBar bar) {
    this.bar = bar;
  }

  /**
   * Whether standard output and input belong to a terminal that can go back to the start of a line.
   */
  static boolean watched() {
    Console console = System.console();
    return console != null && console.isTerminal() && !"dumb".equals(System.getenv("TERM"));
  }

  /** Shows nothing. */
  static ProgressDisplay none() {
    return new ProgressDisplay(null);
  }

  /**
   * Starts to show progress on {@link System#err}.
   *
   * @param task what is done
   * @param total units of work
   * @param unit name of a unit, shown after the numbers
   */
  static ProgressDisplay start(String task, long total, String unit) {
    PrintStream err = System.err;
    boolean terminal = watched();
    ProgressBarBuilder builder =
        new ProgressBarBuilder()
            .setTaskName(task)
            .setInitialMax(total)
            .setUnit(" " + unit, 1)
            .setStyle(
                err.charset().equals(StandardCharsets.UTF_8)
                    ? ProgressBarStyle.UNICODE_BLOCK
                    : ProgressBarStyle.ASCII)
            .showSpeed()
            .setUpdateIntervalMillis(terminal ? BAR_MILLIS : LINE_MILLIS)
            .setConsumer(
                terminal
                    ? new ConsoleProgressBarConsumer(err, BAR_WIDTH)
                    : new DelegatingProgressBarConsumer(withoutRepetition(err), BAR_WIDTH));
    return new ProgressDisplay(builder.build());
  }

  /** The library writes the last state twice. */
  private static Consumer<String> withoutRepetition(PrintStream err) {
    AtomicReference<String> last = new AtomicReference<>("");
    return line -> {
      if (!line.equals(last.getAndSet(line))) {
        err.println(line);
      }
    };
  }

  /** So many units of work there are, as is known now. */
  void expect(long total) {
    if (bar != null) {
      bar.maxHint(total);
    }
  }

  /** Adds units of finished work. */
  void add(long units) {
    if (bar != null) {
      bar.stepBy(units);
    }
  }

  /** Shows a short text behind the bar. */
  void note(String text) {
    if (bar != null) {
      bar.setExtraMessage(" " + text);
    }
  }

  /** Draws the last state and ends the display. */
  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
