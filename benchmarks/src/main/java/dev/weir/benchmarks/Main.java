package dev.weir.benchmarks;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Starts the benchmarks: JMH's own command line, and three things more. {@code -prof nsys} and
 * {@code -prof ncu} are {@link NsysProfiler} and {@link NcuProfiler}, {@code --device cuda} stands
 * for {@code -p device=cuda}, and without arguments the benchmarks are listed and a selection of a
 * minute or two runs.
 *
 * <p>{@code mvn -Pbench -Dbench="ARGUMENTS"} runs it, and so does {@code java -jar
 * benchmarks/target/benchmarks.jar ARGUMENTS}, both in the root of the tree.
 */
public final class Main {
  /** One combination of parameters of each kind of benchmark; too short for figures to be kept. */
  private static final List<String> SELECTION =
      List.of(
          "NativeCallBenchmark.(downcall|freeBlocks)$",
          "StepBenchmark.decode",
          "KvBenchmark.(forkAndClose|append)",
          "SwapBenchmark",
          "SchedulerBenchmark",
          "SamplerBenchmark",
          "TokenizerBenchmark.(encode|stream)",
          "-e",
          "Llama2",
          "-p",
          "precision=DEFAULT",
          "-p",
          "sequences=8",
          "-p",
          "policy=weir",
          "-p",
          "waiting=10,100000",
          "-p",
          "sampling=greedy,top-p",
          "-p",
          "sentences=1",
          "-f",
          "1",
          "-wi",
          "2",
          "-w",
          "1s",
          "-i",
          "3",
          "-r",
          "1s");

  private static final Map<String, String> PROFILERS =
      Map.of("nsys", NsysProfiler.class.getName(), "ncu", NcuProfiler.class.getName());

  private static final String MORE_HELP =
      """

      Beyond JMH's own:

        --device <name>             As -p device=<name>: cpu, cpu-reference, cuda or
                                    cuda:ORDINAL.

        -prof nsys[:options]        Runs the forks under NVIDIA Nsight Systems and prints the
                                    time of kernels and NVTX ranges. -prof nsys:help lists
                                    the options.

        -prof ncu[:options]         Runs the forks under NVIDIA Nsight Compute and prints what
                                    single launches of kernels reach. -prof ncu:help lists
                                    the options.
      """;

  private Main() {}

  public static void main(String[] args) throws IOException {
    if (args.length == 0) {
      org.openjdk.jmh.Main.main(new String[] {"-l"});
      System.out.println(
          "\nA selection of them follows, with few and short iterations. Everything else by"
              + " arguments, such as:\n"
              + "  mvn -Pbench -Dbench=\"StepBenchmark -p sequences=8 -prof gc\"\n"
              + "  mvn -Pbench -Dbench=\"Llama2StepBenchmark.decode --device cuda -p layers=0"
              + " -prof nsys\"\n"
              + "-h lists all options.\n");
      org.openjdk.jmh.Main.main(SELECTION.toArray(String[]::new));
      return;
    }
    org.openjdk.jmh.Main.main(toJmh(args));
    if (List.of(args).contains("-h")) {
      System.out.println(MORE_HELP);
    }
  }

  /** The arguments as JMH knows them. */
  static String[] toJmh(String[] args) {
    List<String> translated = new ArrayList<>();
    for (int i = 0; i < args.length; i++) {
      String argument = args[i];
      if (argument.equals("--device") || argument.startsWith("--device=")) {
        int equals = argument.indexOf('=');
        if (equals < 0 && i + 1 == args.length) {
          throw new IllegalArgumentException("--device needs a name, such as cuda");
        }
        translated.add("-p");
        translated.add("device=" + (equals < 0 ? args[++i] : argument.substring(equals + 1)));
      } else if (argument.equals("-prof") && i + 1 < args.length) {
        translated.add(argument);
        translated.add(profiler(args[++i]));
      } else {
        translated.add(argument);
      }
    }
    return translated.toArray(String[]::new);
  }

  /** The class of one of our profilers, with its options; any other as it is. */
  private static String profiler(String text) {
    String[] parts = text.split(":", 2);
    String name = PROFILERS.getOrDefault(parts[0], parts[0]);
    return parts.length == 1 ? name : name + ":" + parts[1];
  }
}
