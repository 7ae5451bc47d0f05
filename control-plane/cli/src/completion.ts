// `meridian completion`: scripts for shells, made from the commands themselves so that they can't fall behind.

import { Argument, type Command } from "commander";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

/** Adds the command `completion` to a finished program. */
export function addCompletion(program: Command, write: (text: string) => void): void {
  program
    .command("completion")
    .description(
      "print a completion script: meridian completion bash > /etc/bash_completion.d/meridian",
    )
    .addArgument(new Argument("<shell>", "which shell").choices([...shells]))
    .action((shell: Shell) => write(completionScript(program, shell)));
}

/** What may follow each chain of commands: further commands, words of arguments, options. */
type Words = { readonly path: string; readonly words: readonly string[] };

export function completionScript(program: Command, shell: Shell): string {
  const table = collect(program, "");
  switch (shell) {
    case "fish":
      return fishScript(table);
    case "zsh":
      return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(table)}`;
    case "bash":
      return bashScript(table);
    default:
      return "";
  }
}

function collect(command: Command, path: string): readonly Words[] {
  const commands = command.commands.map((each) => each.name());
  const choices = command.registeredArguments.flatMap((each) => each.argChoices ?? []);
  const options = command.options.flatMap((each) => (each.long ? [each.long] : []));
  const below = command.commands.flatMap((each) => collect(each, `${path} ${each.name()}`.trim()));
  return [{ path, words: [...commands, ...choices, ...options, "--help"] }, ...below];
}

function bashScript(table: readonly Words[]): string {
  const cases = table
    .map(({ path, words }) => `    "${path}") words="${words.join(" ")}" ;;`)
    .join("\n");
  return `_meridian() {
  local word path="" words="" at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="\${COMP_WORDS[at]}"
    case " $(_meridian_paths) " in *" \${path:+$path/}$word "*) path="\${path:+$path/}$word" ;; esac
  done
  case "\${path//\\// }" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
_meridian_paths() { echo "${table.map(({ path }) => path.replaceAll(" ", "/")).join(" ")}"; }
complete -o default -F _meridian meridian
`;
}

function fishScript(table: readonly Words[]): string {
  return table
    .flatMap(({ path, words }) => {
      const condition =
        path === ""
          ? "__fish_use_subcommand"
          : `__fish_seen_subcommand_from ${path.split(" ").at(-1)}`;
      return words.map((word) => {
        const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
        return `complete -c meridian -n "${condition}" ${what}\n`;
      });
    })
    .join("");
}
