package dev.weir.cli;

import java.io.Console;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
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

  private static final long LATER_NANOS = 2_000_000_000;

  private final Supplier<ProgressBar> maker;
  private final long showAt;
  private final AtomicLong before = new AtomicLong();
  private volatile ProgressBar bar;

  /** Shows {@code bar}, or makes one when it is due; null for neither. */
  private ProgressDisplay(ProgressBar bar, Supplier<ProgressBar> maker) {
    this.bar = bar;
    this.maker = maker;
    showAt = System.nanoTime() + LATER_NANOS;
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
    return new ProgressDisplay(null, null);
  }

  /**
   * Starts to show progress on {@link System#err}.
   *
   * @param task what is done
   * @param total units of work
   * @param unit name of a unit, shown after the numbers
   */
  static ProgressDisplay start(String task, long total, String unit) {
    return new ProgressDisplay(builder(task, total, unit).build(), null);
  }

  /** As {@link #start}, but shows nothing of what is over in two seconds. */
  static ProgressDisplay startLater(String task, long total, String unit) {
    return new ProgressDisplay(null, () -> builder(task, total, unit).build());
  }

  private static ProgressBarBuilder builder(String task, long total, String unit) {
    PrintStream err = System.err;
    boolean terminal = watched();
    return new ProgressBarBuilder()
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
    if (bar == null && maker != null) {
      before.addAndGet(units);
      makeIfDue();
    } else if (bar != null) {
      bar.stepBy(units);
    }
  }

  private synchronized void makeIfDue() {
    if (bar == null && System.nanoTime() >= showAt) {
      bar = maker.get();
    }
    if (bar != null) {
      bar.stepBy(before.getAndSet(0));
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
