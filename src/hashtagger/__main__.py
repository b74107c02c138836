from hashtagger.cli import main

main()
